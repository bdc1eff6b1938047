#!/usr/bin/env bash
# test/run.sh [SUITE...]: what proves the server through clients that we did not write. Builds the
# reference etcd, runs every suite at test length against $SLUICE_BIN (build/release/sluice) and
# ends with "N passed, N failed". The logs stay in build/test/logs. Suites:
#   style conformance model durability bad_input process h2spec etcdctl python npm
# TEST_KILLS (20) and TEST_SECONDS (400, of one Go suite) are for servers that are slower or for
# more of them. Any suite fails when the server ends unasked or prints a sanitizer's report.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
export SLUICE_BIN=${SLUICE_BIN:-$root/build/release/sluice}
logs=$root/build/test/logs
mkdir -p "$logs"

[ -x "$SLUICE_BIN" ] || { echo "no server at $SLUICE_BIN: run ./dev build first" >&2; exit 1; }
if [ -z "${ETCD_BIN:-}" ]; then
    test/etcd/build.sh build/test/etcd || exit 1
    export ETCD_BIN=$root/build/test/etcd/etcd
fi
etcdctls=()
for ctl in /usr/bin/etcdctl "$root/build/test/etcd/etcdctl"; do
    # Without Go the second is a link to the first.
    [ -x "$ctl" ] && [ "$(readlink -f "$ctl")" != "${etcdctls[0]:-}" ] && etcdctls+=("$ctl")
done

passed=0 failed=0

# suite NAME COMMAND...: runs it, counts its results, and shows the log's end if anything failed.
suite() {
    local name=$1 log=$logs/$1.log status=0 began=$SECONDS p f s
    shift
    "$@" >"$log" 2>&1 || status=$?
    p=$(grep -cE '^ *--- PASS' "$log")
    f=$(grep -cE '^ *--- FAIL' "$log")
    s=$(grep -cE '^ *--- SKIP' "$log")
    # Scripts, pytest ("72 passed, 10 deselected") and mocha ("155 passing") say it in words.
    p=$((p + $(sum '([0-9]+) (passed|passing)' "$log")))
    f=$((f + $(sum '([0-9]+) (failed|failing)' "$log")))
    [ "$status" -eq 0 ] || [ "$f" -gt 0 ] || f=1
    [ "$status" -ne 0 ] || [ $((p + f)) -gt 0 ] || f=1 # a suite that tests nothing has failed
    printf '%-12s %4d passed, %d failed, %d skipped  (%d s)\n' \
        "$name" "$p" "$f" "$s" $((SECONDS - began)) | sed 's/, 0 skipped//'
    grep -E '^(model|durability|disk full|bad input|process|npm etcd3): ' "$log" | sed 's/^/    /'
    grep -E -A1 '^ *--- SKIP' "$log" | grep -v '^--' | sed 's/^/    /'
    if [ "$f" -gt 0 ]; then
        echo "    ---- of $log, before each failure and the end:"
        { grep -B "${TEST_LOG_LINES:-40}" -E '^ *(--- FAIL|panic: |FAILED )' "$log" | head -n 120
          echo "..."
          tail -n "${TEST_LOG_LINES:-40}" "$log"; } | cut -c1-600 | sed 's/^/    /'
    fi
    passed=$((passed + p)) failed=$((failed + f))
}

sum() { grep -oE "$1" "$2" | grep -oE '[0-9]+' | awk '{ n += $1 } END { print n + 0 }'; }

go_test() {
    local package=$1
    shift
    local seconds=${TEST_SECONDS:-400}
    (cd test && timeout "$((seconds + 10))" \
        go test -count=1 -v -timeout "${seconds}s" "./$package" "$@")
}

go_style() {
    local bad
    bad=$(gofmt -l test)
    [ -z "$bad" ] || { echo "gofmt: $bad"; echo "1 failed"; return 1; }
    (cd test && go vet ./...) && (cd test/etcd && go vet ./...) || return 1
    echo "2 passed"
    go_test harness
}

wanted() { [ ${#only[@]} -eq 0 ] || [[ " ${only[*]} " == *" $1 "* ]]; }
only=("$@")

if command -v go >/dev/null; then
    wanted style && suite style go_style
    wanted conformance && suite conformance go_test conformance
    wanted model && suite model go_test model -ops 5000
    wanted durability && suite durability go_test durability -kills "${TEST_KILLS:-20}"
    wanted bad_input && suite bad_input go_test bad_input
    wanted process && suite process go_test process
    wanted h2spec && suite h2spec timeout 300 test/h2spec/run.sh
else
    echo "no Go: conformance, model, durability, bad_input, process and h2spec are NOT run"
fi
if wanted etcdctl; then
    if [ ${#etcdctls[@]} -gt 0 ]; then
        suite etcdctl timeout 300 test/clients/etcdctl.sh "${etcdctls[@]}"
    else
        echo "no etcdctl: its suite is NOT run"
    fi
fi
wanted python && suite python timeout 300 test/clients/python_etcd3.sh sluice
if wanted npm; then
    if command -v npm >/dev/null; then
        suite npm timeout 300 test/clients/npm_etcd3.sh sluice
    else
        echo "no npm: its suite is NOT run"
    fi
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
