#!/usr/bin/env bash
# Hoverfly as a web server: hoverfly.sh CASSETTE DIR
. "$(dirname "$0")/start.bash"
needs hoverfly
python3 "$here/stubs.py" hoverfly "$cassette" simulation.json
port=$(free_port)
announce hoverfly "$port" &
exec hoverfly -webserver -listen-on-host 127.0.0.1 -pp "$port" -ap "$(free_port)" -import simulation.json \
    -log-level error -journal-size 0 -cache-size 1000000 >/dev/null
