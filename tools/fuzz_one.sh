#!/usr/bin/env bash
# tools/fuzz_one.sh PROGRAM CORPUS SECONDS: one fuzzer, one line of result.
set -euo pipefail
program=$1 corpus=$2 seconds=$3
if "$program" "$corpus" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
    -artifact_prefix="$corpus/../crash-$(basename "$program")-" -print_final_stats=1 \
    >"$corpus/../$(basename "$program").log" 2>&1; then
    grep -E 'stat::number_of_executed_units' "$corpus/../$(basename "$program").log"
    echo "1 passed, 0 failed"
else
    tail -50 "$corpus/../$(basename "$program").log"
    echo "0 passed, 1 failed"
    exit 1
fi
