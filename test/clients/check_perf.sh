#!/usr/bin/env bash
# test/clients/check_perf.sh [sluice|etcd] [LOAD]: `etcdctl check perf --load LOAD` (s by default)
# on a server that we start. It takes a minute and judges by the clock, so it is no test.
# PASS means 90% of 150/1000/8000/15000 puts/s (s/m/l/xl), none slower than 0.5 s, deviation below
# 0.1 s.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
which=${1:-sluice}
case $which in sluice) binary=$SLUICE_BIN ;; etcd) binary=$ETCD_BIN ;; *) exit 2 ;; esac
ctl=$(dirname "$ETCD_BIN")/etcdctl
[ -x "$ctl" ] || ctl=etcdctl
start_server "$which" "$binary"
ETCDCTL_API=3 "$ctl" --endpoints "$address" check perf --load "${2:-s}" >"$work/report" 2>&1 ||
    failed=1
tr '\r' '\n' <"$work/report" | grep -oE '(PASS|FAIL).*' # without the progress bar
exit "${failed:-0}"
