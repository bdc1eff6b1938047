#!/usr/bin/env bash
# test/h2spec/run.sh [h2spec arguments...]: h2spec, all 146 tests in strict mode, against the server
# at $SLUICE_BIN, without TLS. Builds h2spec from the go.mod beside this file.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/../clients/lib.sh"

(cd "$here" && go build -o "$work/h2spec" github.com/summerwind/h2spec/cmd/h2spec)
start_server sluice "$SLUICE_BIN"
"$work/h2spec" --strict -h "${address%:*}" -p "${address##*:}" -o 2 "$@" >"$work/report" 2>&1 || {
    sed -n '/^Failures/,$p' "$work/report"
    exit 1
}
tail -n 1 "$work/report"
grep -q ' 146 passed, 0 skipped, 0 failed' "$work/report" || [ $# -gt 0 ]
