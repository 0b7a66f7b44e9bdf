// Tests a program that creates user statuses, without a tenant: `node --test examples/`.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { replay } from './graphdeck.mjs';

const status = {
    '@odata.type': '#microsoft.graph.deviceConfigurationUserStatus',
    userDisplayName: 'User Display Name value',
    devicesCount: 12,
    status: 'notApplicable',
    lastReportedDateTime: new Date(),
    userPrincipalName: 'User Principal Name value',
};

test('a status that was created can be removed', async (t) => {
    const deck = await replay('user-statuses');
    t.after(() => deck.stop());
    const statuses = `${deck.url}/beta/deviceManagement/deviceConfigurations/6f9619ff-8b86-4d01-b42d-00cf4fc964ff/userStatuses`;
    const headers = { 'content-type': 'application/json' };
    const created = await fetch(statuses, { method: 'POST', headers, body: JSON.stringify(status) });
    assert.equal(created.status, 201);
    const { id } = await created.json();
    assert.equal((await fetch(`${statuses}/${id}`, { method: 'DELETE' })).status, 204);
});
