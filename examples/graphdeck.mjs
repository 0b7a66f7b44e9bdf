// A helper for tests in Node: starts a deck that answers from a cassette, and stops it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** Replays a cassette: `url` is the address that stands for Graph's; `stop()` fails when anything asked was not on it. */
export async function replay(cassette, ...options) {
    const program = process.env.GRAPHDECK ?? 'graphdeck';
    const deck = spawn(program, ['replay', cassette, ...options, '--listen', '127.0.0.1:0'], { stdio: ['ignore', 'ignore', 'pipe'] });
    const said = [];
    const ended = once(deck, 'close').then(([code]) => code);
    const url = await new Promise((resolve, reject) => {
        createInterface({ input: deck.stderr }).on('line', (line) => {
            said.push(line);
            const ready = / on (http:\/\/\S+)/.exec(line);
            if (ready) {
                resolve(ready[1]);
            }
        });
        ended.then(() => reject(new Error(said.join('\n'))), reject);
    });
    return {
        url,
        async stop() {
            deck.kill();
            if (await ended !== 0) {
                throw new Error(said.join('\n'));
            }
        },
    };
}
