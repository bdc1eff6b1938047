#!/usr/bin/env bash
# bench/vs/build.sh OUTDIR: builds the programs of `./dev bench runtime` that CMake does not, into
# OUTDIR/go and OUTDIR/tokio. One that cannot be built is left out with a line that says so.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: $0 OUTDIR" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)

# attempt NAME TOOL COMMAND...: an older program does not stay where a new one could not be built.
attempt() {
    local name=$1 tool=$2
    shift 2
    if ! command -v "$tool" >/dev/null; then
        echo "runtime: no $name: $tool is not installed"
        rm -f "$out/$name"
    elif ! "$@" >"$out/$name.log" 2>&1; then
        echo "runtime: no $name: \`$*\` failed: $(tail -1 "$out/$name.log")"
        rm -f "$out/$name"
    fi
}

build_go() {
    cd "$here/go" && CGO_ENABLED=0 go build -trimpath -o "$out/go" .
}

build_tokio() {
    cargo build --release --locked --manifest-path "$here/tokio/Cargo.toml" \
        --target-dir "$out/tokio.target" && cp "$out/tokio.target/release/tokio-lines" "$out/tokio"
}

attempt go go build_go
attempt tokio cargo build_tokio
