#!/usr/bin/env bash
# tools/fuzz_one.sh PROGRAM CORPUS SECONDS: one fuzzer, one line of result. What it finds grows in
# CORPUS; seeds are read from test/corpus/NAME. A crash leaves its input beside CORPUS. FUZZ_SEED
# makes a run repeat another; 0, the default, is another seed each time.
set -euo pipefail
program=$1 corpus=$2 seconds=$3
name=$(basename "$program")
log=$corpus.log
corpora=("$corpus")
[ ! -d "test/corpus/$name" ] || corpora+=("test/corpus/$name")
if "$program" "${corpora[@]}" -max_total_time="$seconds" -seed="${FUZZ_SEED:-0}" \
    -timeout=10 -rss_limit_mb=2048 \
    -artifact_prefix="$corpus-crash-" -print_final_stats=1 >"$log" 2>&1; then
    # How far it got: "#runs DONE cov: edges ft: features corp: inputs exec/s: ..."
    grep -E '^#[0-9]+\s+DONE' "$log" | tail -1 || true
    echo "1 passed, 0 failed"
else
    tail -50 "$log"
    echo "0 passed, 1 failed"
    exit 1
fi
