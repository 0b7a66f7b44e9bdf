#!/usr/bin/env bash
# mitmproxy's server replay: mitmproxy.sh CASSETTE DIR. PYTHON is the interpreter that has mitmproxy.
. "$(dirname "$0")/start.bash"
needs mitmdump
python=${PYTHON:-$(sed -n '1s/^#!//p' "$(command -v mitmdump)")}
"$python" "$here/stubs.py" mitmproxy "$cassette" flows
port=$(free_port)
announce mitmproxy "$port" &
exec mitmdump --quiet --listen-host 127.0.0.1 --listen-port "$port" --mode reverse:http://graph.microsoft.com:80 \
    --server-replay flows --set server_replay_reuse=true --set server_replay_extra=404 \
    --set connection_strategy=lazy --set confdir="$PWD"
