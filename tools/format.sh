#!/usr/bin/env bash
# tools/format.sh check|write: clang-format over every C++ file that git knows.
set -euo pipefail
cd "$(dirname "$0")/.."
case ${1:-} in
    check) mode=(--dry-run -Werror) ;;
    write) mode=(-i) ;;
    *) echo "usage: $0 check|write" >&2; exit 2 ;;
esac
git ls-files -z --cached --others --exclude-standard '*.cc' '*.h' |
    xargs -0 clang-format-19 "${mode[@]}"
