#!/usr/bin/env bash
# Measures the deck beside bare hyper servers, in turn, and writes target/bench/compare.md and compare.json.
#
#   benches/compare.sh                              five rounds of two seconds: about seven minutes
#   benches/compare.sh --rounds 1 --seconds 0.5     a first look
#   benches/compare.sh --only "replay, plain;disk"  only what has one of these in its name
#   benches/compare.sh --million                    with 1,000,000 exchanges: gigabytes of disk and memory, long
#   benches/compare.sh --peers all                  others too, those that are installed (benches/peers/README.md)
#
# DECK=FILE measures that program in place of the release build.
set -euo pipefail
cd "$(dirname "$0")/.."

arguments=()
while [ $# -gt 0 ]; do
    if [ "$1" = --peers ]; then
        peers=${2:?which ones: all, or names such as mitmproxy,mountebank}
        [ "$peers" != all ] || peers=$(cd benches/peers && printf '%s,' *.sh | sed 's/\.sh//g; s/,$//')
        arguments+=(--peers "$(printf '%s' "$peers" | sed "s:[^,]*:$PWD/benches/peers/&.sh:g")")
        shift 2
    else
        arguments+=("$1")
        shift
    fi
done

if [ -z "${DECK:-}" ]; then
    cargo build --locked --release --quiet
    DECK=target/release/graphdeck
fi
cargo build --locked --release --quiet --manifest-path benches/Cargo.toml --target-dir target
exec target/release/yardstick compare --deck "$DECK" --out target/bench "${arguments[@]}"
