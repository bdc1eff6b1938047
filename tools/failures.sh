#!/usr/bin/env bash
# tools/failures.sh LOG: what failed in a log of ./dev test, ./dev fuzz or a build: each failing
# ctest test with its output, each failing suite of test/run.sh with what it showed, each error of
# the compiler. Prints nothing of what passed.
set -euo pipefail

awk '
    # A ctest result begins each record; its output follows up to the next such line.
    /^ *[0-9]+\/[0-9]+ +Test +#[0-9]+:/ || /^ *Start +[0-9]+:/ || /^[0-9]+% tests passed/ {
        shown = /\*\*\*/
    }
    # A suite that failed shows its log indented by four spaces.
    /^[a-z0-9_]+ +[0-9]+ passed, [0-9]+ failed/ { shown = $4 > 0 }
    # A fuzzer or step that failed prints its count after its output.
    /^== / { step = $0; shown = 0; held = ""; next }
    /^0 passed, [1-9][0-9]* failed$/ { printf "%s\n%s", step, held; next }
    /^(FAILED: |.*: (fatal )?error: |.* failed with exit status )/ { print; next }
    shown { print; next }
    { held = held $0 "\n"; if (length(held) > 8000) held = substr(held, length(held) - 4000) }
' "$1" | cut -c1-600 | head -n "${FAILURES_LINES:-150}"
