#!/usr/bin/env bash
# Counts the instructions of one replayed POST under renamed ids, from the socket to the socket, and compares the counts
# with those in benches/instructions.txt: they are the same on a busy machine as on an idle one. It needs valgrind.
# Two POSTs are counted: one whose header fields came before on its connection, which is answered before hyper reads it,
# and one with others.
#
#   benches/instructions.sh            fails when a POST takes over 3 % more than is written there
#   benches/instructions.sh --update   writes the counts there
#   benches/instructions.sh --profile  tells the functions that take most of it (a build of its own, some minutes)
#
# The count is that of the release program with one worker: 4,000 POSTs less 2,000, divided by 2,000. Another Rust or
# another processor gives another count: update it on the machine where it is compared.
set -euo pipefail
cd "$(dirname "$0")/.."
figure=benches/instructions.txt
command -v valgrind >/dev/null || { echo "valgrind is not installed" >&2; exit 3; }

if [ "${1:-}" = --profile ]; then
    # With names in it, and nothing else changed.
    cargo rustc --locked --release --quiet --bin graphdeck -- -C strip=none
    mkdir -p target/bench
    cp target/release/graphdeck target/bench/graphdeck-with-names
    deck=target/bench/graphdeck-with-names
else
    deck=${DECK:-target/release/graphdeck}
    [ -n "${DECK:-}" ] || cargo build --locked --release --quiet
fi
cargo build --locked --release --quiet --manifest-path benches/Cargo.toml --target-dir target
yardstick=$PWD/target/release/yardstick
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$yardstick" tape --users 1 --out "$dir/one.json"

# The instructions of a deck from its start to its end, with so many POSTs in between.
count() {
    local log=$dir/log.$1 address='' pid
    XDG_DATA_HOME=$dir/home TOKIO_WORKER_THREADS=1 valgrind --tool=callgrind --callgrind-out-file="$dir/out.$1" \
        "$deck" replay one --cassettes "$dir" --store "$dir/store" --listen 127.0.0.1:0 2>"$log" &
    pid=$!
    while [ -z "$address" ]; do
        kill -0 $pid || { cat "$log" >&2; exit 2; }
        sleep 0.1
        address=$(sed -n 's,.* on http://,,p' "$log")
    done
    "$yardstick" send --address "$address" --count "$@"
    kill -TERM $pid
    wait $pid
    sed -n 's/.*Collected : //p' "$log"
}

# What each function took per POST, itself or with all that it calls: the difference of two runs.
functions() {
    table() {
        callgrind_annotate --threshold=100 --inclusive="$1" "$2" 2>/dev/null |
            sed -n 's/^ *\([0-9,]*\) (.*%)  *\(.*\)$/\1\t\2/p' |
            sed 's/ \[[^]]*\]$//; s/\t[^\t]*\/\([^:/]*\):/\t/; s/\t???:/\t/'
    }
    { table "$1" "$dir/out.2000" | sed 's/^/-\t/'; table "$1" "$dir/out.4000" | sed 's/^/+\t/'; } |
        awk -F'\t' '{ gsub(",", "", $2); sum[$3] += ($1 == "+" ? $2 : -$2) }
            END { for (f in sum) if (sum[f] >= 800000) printf "%8d  %s\n", sum[f] / 2000, f }' | sort -rn | cut -c1-150
}

count 1 >/dev/null # makes the certificate, which no other run is to count
failed=0
for kind in again turns; do
    fields=()
    [ $kind = again ] || fields=(--turns)
    few=$(count 2000 "${fields[@]}")
    many=$(count 4000 "${fields[@]}")
    now=$(((many - few) / 2000))
    if [ "${1:-}" = --profile ]; then
        printf '%s\n' '== itself'
        functions no
        printf '%s\n' '== with all that it calls'
        functions yes
    fi
    before=$(sed -n "s/ $kind\$//p" "$figure")
    if [ "${1:-}" = --update ]; then
        sed -i "s/.* $kind\$/$now $kind/" "$figure"
        before=$now
    fi
    words='with the header fields of the one before'
    [ $kind = again ] || words='with other ones'
    echo "one replayed POST $words: $now instructions ($before in $figure)"
    [ $((now * 100)) -le $((before * 103)) ] || failed=1
done
if [ $failed = 1 ]; then
    echo "that is over 3 % more; if it has to be, run benches/instructions.sh --update" >&2
fi
exit $failed
