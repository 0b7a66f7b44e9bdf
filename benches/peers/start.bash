# What the start scripts share. Each is called with a cassette and a folder of its own, and becomes its server: so its
# process is the one whose CPU time is measured. It exits with 3 where the tool is not installed.
set -euo pipefail
cassette=$(realpath "${1:?a cassette}")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "${2:?a folder}"
cd "$2"

needs() {
    command -v "$1" >/dev/null || { echo "$1 is not installed (benches/peers/README.md)" >&2; exit 3; }
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Says where the server is, once it is there: within five minutes, or never.
announce() {
    for _ in $(seq 3000); do
        if (: <"/dev/tcp/127.0.0.1/$2") 2>/dev/null; then
            echo "$1 on http://127.0.0.1:$2" >&2
            return
        fi
        sleep 0.1
    done
}
