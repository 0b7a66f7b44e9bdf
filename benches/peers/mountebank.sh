#!/usr/bin/env bash
# mountebank with an imposter that has a stub for each exchange: mountebank.sh CASSETTE DIR
. "$(dirname "$0")/start.bash"
needs mb
port=$(free_port)
python3 "$here/stubs.py" mountebank "$cassette" imposters.json "$port"
announce mountebank "$port" &
exec mb start --host 127.0.0.1 --port "$(free_port)" --nologfile --loglevel error --pidfile mb.pid \
    --configfile imposters.json
