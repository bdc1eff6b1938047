#!/usr/bin/env bash
# tools/tidy.sh changed|all: clang-tidy with the checks of .clang-tidy, warnings as errors.
# "changed" means every source that differs from main, and those beside a header that does.
# Needs a configured and built dev preset (generated protobuf headers); `./dev lint` sees to that.
set -euo pipefail
cd "$(dirname "$0")/.."

changed() {
    local base
    base=$(git merge-base HEAD origin/main 2>/dev/null || git merge-base HEAD main 2>/dev/null ||
        echo HEAD)
    { git diff --name-only --diff-filter=d "$base" -- 'src/*.cc' 'src/*.h'
      git ls-files --others --exclude-standard 'src/*.cc' 'src/*.h'; } |
        sed 's/\.h$/.cc/' | sort -u | while read -r file; do [ -f "$file" ] && echo "$file"; done
}

case ${1:-} in
    changed) files=$(changed || true) ;;
    all) files=$(git ls-files 'src/*.cc') ;;
    *) echo "usage: $0 changed|all" >&2; exit 2 ;;
esac
# Sources that this preset does not compile (fuzzers) have no compile command.
files=$(for file in $files; do
    if grep -qF "/$file\"" build/dev/compile_commands.json; then echo "$file"; fi
done)
[ -n "$files" ] || { echo "clang-tidy: nothing to check"; exit 0; }
echo "clang-tidy: $(wc -w <<<"$files") files"
xargs -P "$(nproc)" -n 1 clang-tidy-19 --quiet -p build/dev <<<"$files" \
    2> >(grep -vE 'warnings? generated|Suppressed|Use -header-filter' >&2)
