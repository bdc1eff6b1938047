#!/usr/bin/env bash
# Runs h2spec, all 146 tests in strict mode, against an HTTP/2 server without TLS.
#   test/h2spec/run.sh HOST:PORT [h2spec arguments...]
#   test/h2spec/run.sh BUILD_DIR          starts the test server of that build on a free port
# Builds h2spec from the go.mod beside this file. Exit code 0: all tests passed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
target=${1:?"usage: run.sh HOST:PORT | BUILD_DIR"}
shift
work=$(mktemp -d)
server=
cleanup() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

(cd "$here" && go build -o "$work/h2spec" github.com/summerwind/h2spec/cmd/h2spec)

if [ -d "$target" ]; then
    "$target/src/net/http2/h2spec_server" 0 >"$work/server.log" &
    server=$!
    for _ in $(seq 100); do
        grep -q listening "$work/server.log" && break
        sleep 0.05
    done
    target=127.0.0.1:$(awk '/listening/ {print $3}' "$work/server.log")
fi
"$work/h2spec" --strict -h "${target%:*}" -p "${target##*:}" -o 2 "$@" >"$work/out.log" 2>&1 || {
    sed -n '/^Failures/,$p' "$work/out.log"
    exit 1
}
tail -n 1 "$work/out.log"
grep -q ' 146 passed, 0 skipped, 0 failed' "$work/out.log" || [ $# -gt 0 ]
