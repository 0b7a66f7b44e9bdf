#!/usr/bin/env bash
# httpmock's standalone server: httpmock.sh CASSETTE DIR
. "$(dirname "$0")/start.bash"
needs httpmock
mkdir -p mocks
python3 "$here/stubs.py" httpmock "$cassette" mocks/all.yaml
port=$(free_port)
announce httpmock "$port" &
export HTTPMOCK_PORT=$port HTTPMOCK_MOCK_FILES_DIR=$PWD/mocks HTTPMOCK_REQUEST_HISTORY_LIMIT=1
exec httpmock
