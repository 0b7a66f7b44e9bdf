#!/usr/bin/env bash
# WireMock standalone: wiremock.sh CASSETTE DIR. WIREMOCK_JAR is wiremock-standalone-*.jar.
. "$(dirname "$0")/start.bash"
needs java
[ -f "${WIREMOCK_JAR:-}" ] || { echo "WIREMOCK_JAR names no file" >&2; exit 3; }
mkdir -p root/mappings
python3 "$here/stubs.py" wiremock "$cassette" root/mappings/all.json
port=$(free_port)
announce wiremock "$port" &
exec java -jar "$WIREMOCK_JAR" --bind-address 127.0.0.1 --port "$port" --root-dir root --no-request-journal \
    --disable-banner --async-response-enabled false >/dev/null
