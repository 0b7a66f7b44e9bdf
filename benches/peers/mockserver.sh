#!/usr/bin/env bash
# MockServer: mockserver.sh CASSETTE DIR. MOCKSERVER_JAR is mockserver-netty-*-shaded.jar.
. "$(dirname "$0")/start.bash"
needs java
[ -f "${MOCKSERVER_JAR:-}" ] || { echo "MOCKSERVER_JAR names no file" >&2; exit 3; }
python3 "$here/stubs.py" mockserver "$cassette" expectations.json
port=$(free_port)
announce mockserver "$port" &
exec java -Dmockserver.initializationJsonPath=expectations.json -Dmockserver.localBoundIP=127.0.0.1 \
    -Dmockserver.logLevel=ERROR -Dmockserver.disableLogging=true -Dmockserver.maxExpectations=2000000 \
    -jar "$MOCKSERVER_JAR" -serverPort "$port" >/dev/null
