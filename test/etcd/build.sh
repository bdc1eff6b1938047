#!/usr/bin/env bash
# test/etcd/build.sh OUTDIR: puts the reference `etcd` and `etcdctl` into OUTDIR and prints where
# they came from. With Go: the release pinned in go.mod, rebuilt only when go.mod, go.sum, the main
# packages or the compiler changed. Without Go: links to Debian's 3.4.23 (see README.md for what
# that one answers differently). Exits 1 with one line when neither is there.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: $0 OUTDIR" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")"

if ! command -v go >/dev/null; then
    for tool in etcd etcdctl; do
        from=$(PATH=/usr/bin:/usr/local/bin command -v "$tool") ||
            { echo "etcd: no Go, and no $tool from Debian (apt install etcd-server etcd-client)" >&2
              exit 1; }
        ln -sf "$from" "$out/$tool"
    done
    echo "etcd: no Go; using Debian's $("$out/etcd" --version | head -1)"
    exit 0
fi

stamp=$(cat go.mod go.sum cmd/*/main.go <(go version) | sha256sum | cut -d' ' -f1)
if [ -x "$out/etcd" ] && [ -x "$out/etcdctl" ] &&
    [ "$(cat "$out/.stamp" 2>/dev/null)" = "$stamp" ]; then
    echo "etcd: up to date, $("$out/etcd" --version | head -1)"
    exit 0
fi
export CGO_ENABLED=0
go build -trimpath -buildvcs=false -o "$out/" ./cmd/...
echo "$stamp" >"$out/.stamp"
echo "etcd: built, $("$out/etcd" --version | head -1)"
