#!/usr/bin/env bash
# test/clients/etcdctl.sh ETCDCTL...: every command of etcdctl that the server's services carry, run
# with each given etcdctl against the server under test and against a real etcd. The output must be
# the same but for ids, sizes, versions, addresses and durations. Prints one line a command.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
[ $# -gt 0 ] || { echo "usage: $0 ETCDCTL..." >&2; exit 2; }
export ETCDCTL_API=3

# normal ADDRESS: takes out of a text what is each server's own.
normal() {
    sed -E -e "s#$1#ADDRESS#g" -e 's#http://(127.0.0.1|localhost):[0-9]+#PEER#g' \
        -f "$work/normal.sed" |
        grep -v '^$' || true
}

cat >"$work/normal.sed" <<'TEXT'
s/\b[0-9]{17,20}\b/ID/g
s/\b[0-9a-f]{13,16}\b/ID/g
s/"RaftTerm" : [0-9]+/"RaftTerm" : N/
s/[0-9]+(\.[0-9]+)?(µs|ms|s)\b/TIME/g
s/"(cluster_id|member_id|memberID|ID|leader|hash|raft_term|raftTerm)": ?[0-9]+/"\1":N/g
s/"(raftIndex|raftAppliedIndex|dbSize|dbSizeInUse|dbSizeQuota)": ?-?[0-9]+/"\1":N/g
s/"(version|storageVersion)": ?"[^"]*"/"\1":V/g
s/remaining\([0-9-]+s\)/remaining(N)/g
s/\{"level":"(info|warn)".*//
s/"ts":"[^"]*"//
TEXT

passed=0 failed=0
# differ WHAT: shows both outputs, $got and $want.
differ() { printf 'FAIL %s\n--- sluice\n%s\n--- etcd\n%s\n' "$1" "$got" "$want"; }

# same NAME ARGUMENTS...: one etcdctl command on both servers; standard input is given to both.
same() {
    local name=$1 input got want
    shift
    input=$(if [ -t 0 ] || [ "${stdin:-no}" = no ]; then :; else cat; fi)
    got=$(run "$sluice" "$@") want=$(run "$etcd" "$@")
    if [ "$got" = "$want" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        differ "$name ($ctl $*)"
    fi
}

run() {
    local at=$1
    shift
    { printf '%s' "$input" | timeout 30 "$ctl" --endpoints "$at" "${@//ADDRESS/$at}" 2>&1
      echo "exit ${PIPESTATUS[1]}"; } | normal "$at"
}

# with TEXT COMMAND...: gives the text on standard input.
with() {
    local text=$1
    shift
    stdin=yes "$@" <<<"$text"
}

commands() {
    local json=(-w json)
    with "" same "put" put a 1
    same "put, old value" put a 2 --prev-kv
    with "from stdin" same "put from stdin" put b
    same "put with ignore-value" put a --ignore-value
    same "put with an unknown lease" put a 1 --lease=1234
    same "get" get a
    same "get json" get a "${json[@]}"
    same "get fields" get a -w fields
    same "get hex" get a --hex
    for k in k1 k2 k3 k4 l1; do same "put $k" put $k "v$k"; done
    same "get prefix" get k --prefix
    same "get range" get k1 k3
    same "get from key" get k3 --from-key
    same "get limit" get k --prefix --limit 2 "${json[@]}"
    same "get keys only" get k --prefix --keys-only
    same "get count only" get k --prefix --count-only -w fields
    same "get sorted" get k --prefix --order DESCEND --sort-by MODIFY
    same "get by version" get "" --prefix --order ASCEND --sort-by VERSION
    same "get value only" get k1 --print-value-only
    same "get at a revision" get a --rev 2
    same "get at a future revision" get a --rev 2000
    same "get serializable" get a --consistency s
    same "del" del l1
    same "del prefix, old values" del k --prefix --prev-kv
    same "del nothing" del nothing
    same "del range" del a b --prev-kv
    with $'value("b") = "from stdin"\n\nput t 1\nget b\n\nput t 2\n\n' same "txn, then" txn
    with $'mod("b") = "1"\n\nput t 1\n\nput t 2\nget t\ndel t\n\n' same "txn, else" txn
    with $'\n\nput d 1\nput d 2\n\n\n' same "txn with a key twice" txn
    same "compact" compact 5
    same "compact physical" compact 6 --physical
    same "compact again" compact 5
    same "compact the future" compact 5000
    same "get a compacted revision" get b --rev 2
    same "lease revoke unknown" lease revoke 7bcd
    same "lease timetolive unknown" lease timetolive 7bcd
    same "lease keep-alive unknown" lease keep-alive 7bcd --once
    same "lease list" lease list
    same "member list" member list
    same "member list json" member list "${json[@]}"
    same "endpoint health" endpoint health
    same "alarm list" alarm list
    same "alarm disarm" alarm disarm
    same "defrag" defrag
    same "check of an unknown key" get no-such-key
    same "unknown command" frobnicate
}

# Commands that make ids or run on: each a function that plays on one server and prints the rest.
flows() {
    local flow
    for flow in lease_flow lock_flow elect_flow watch_flow watch_exec_flow snapshot_flow \
        status_flow txn_interactive_flow; do
        local got want
        got=$($flow "$sluice" 2>&1 | normal "$sluice") || true
        want=$($flow "$etcd" 2>&1 | normal "$etcd") || true
        if [ "$got" = "$want" ]; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
            differ "$flow ($ctl)"
        fi
    done
}

at() { timeout 30 "$ctl" --endpoints "$@"; }

lease_flow() {
    local id
    id=$(at "$1" lease grant 500 | sed -E 's/lease ([0-9a-f]+) .*/\1/')
    at "$1" put leased 1 --lease="$id"
    at "$1" lease timetolive "$id" --keys
    at "$1" lease keep-alive "$id" --once
    at "$1" lease list
    at "$1" get leased -w fields | grep -v Lease
    at "$1" lease revoke "$id"
    at "$1" get leased
}

lock_flow() {
    at "$1" lock mutex echo inside
    at "$1" lock mutex true && echo again
    at "$1" get mutex --prefix --count-only -w fields
}

elect_flow() {
    rm -f "$work/elect"
    timeout -k 2 20 "$ctl" --endpoints "$1" elect chair candidate >"$work/elect" 2>&1 &
    local pid=$!
    until grep -qs candidate "$work/elect"; do sleep 0.05; done
    timeout 2 "$ctl" --endpoints "$1" elect --listen chair | head -2
    kill "$pid"
    wait "$pid" || true
    cat "$work/elect"
}

watch_flow() {
    local out=$work/watch
    rm -f "$out"
    timeout 20 "$ctl" --endpoints "$1" watch w --prefix --prev-kv >"$out" 2>&1 &
    local pid=$! waited=0
    # The watcher says nothing when it stands: write marks until one is seen.
    until [ -s "$out" ] || [ $((waited += 1)) -gt 100 ]; do
        at "$1" put w-mark x >/dev/null
        sleep 0.05
    done
    at "$1" put w1 1
    at "$1" put w1 2
    at "$1" del w1
    at "$1" put w-end x
    waited=0
    until grep -q w-end "$out" || [ $((waited += 1)) -gt 100 ]; do sleep 0.05; done
    kill "$pid"
    wait "$pid" || true
    sed -n '/w1/,$p' "$out"
}

watch_exec_flow() {
    local now
    now=$(at "$1" put x 0 -w json | sed -E 's/.*"revision":([0-9]+).*/\1/')
    at "$1" put x 1 >/dev/null
    at "$1" del x >/dev/null
    timeout 3 "$ctl" --endpoints "$1" watch x --rev "$((now + 1))" -- \
        sh -c 'echo $ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY' | head -8 || true
}

snapshot_flow() {
    rm -f "$work/snapshot"
    at "$1" snapshot save "$work/snapshot" | grep -o 'Snapshot saved' || echo "not saved"
    [ -s "$work/snapshot" ] && echo "a file"
}

status_flow() {
    at "$1" endpoint status -w json | grep -oE '"(Endpoint|version|dbSize|leader|raftIndex)"' | sort
    at "$1" endpoint hashkv -w json | grep -oE '"(hash|compact_revision)"' | sort
}

txn_interactive_flow() {
    printf 'ver("nope") = "0"\n\nput i 1\n\n\n' | at "$1" txn -i
    at "$1" get i
}

turn=0
for ctl in "$@"; do
    turn=$((turn + 1))
    start_server "sluice-$turn" "$SLUICE_BIN"
    sluice=$address
    start_server "etcd-$turn" "$ETCD_BIN"
    etcd=$address
    commands
    flows
done
echo "etcdctl: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
