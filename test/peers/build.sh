#!/usr/bin/env bash
# test/peers/build.sh OUTDIR: builds the peers of `./dev bench wire` into OUTDIR: grpc-go with the
# grpc-go that test/go.mod pins, grpc-cpp with Debian's grpc++ (libgrpc++-dev and
# protobuf-compiler-grpc). One that cannot be built is left out with a line that says so.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: $0 OUTDIR" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
root=$(cd "$(dirname "$0")/../.." && pwd)

if command -v go >/dev/null; then
    (cd "$root/test" && CGO_ENABLED=0 go build -trimpath -o "$out/grpc-go" ./peers/grpc-go)
else
    echo "peers: no Go, so no grpc-go"
fi

if ! command -v grpc_cpp_plugin >/dev/null || ! pkg-config --exists grpc++; then
    echo "peers: no grpc-cpp (apt install libgrpc++-dev protobuf-compiler-grpc)"
    exit 0
fi
sources=("$root"/proto/{etcdserverpb/kv,etcdserverpb/header,mvccpb/kv,grpc/health}.proto)
main=$root/test/peers/grpc-cpp/main.cc
newest=$(ls -t "${sources[@]}" "$main" "$0" | head -1)
[ "$out/grpc-cpp" -nt "$newest" ] && exit 0
generated=$out/generated
mkdir -p "$generated"
protoc -I "$root" --cpp_out="$generated" --grpc_out="$generated" \
    --plugin=protoc-gen-grpc="$(command -v grpc_cpp_plugin)" "${sources[@]}"
mapfile -t code < <(find "$generated" -name '*.cc')
# shellcheck disable=SC2046
"${CXX:-clang++-19}" -std=c++20 -O2 -DNDEBUG -I "$generated" "$main" "${code[@]}" \
    -o "$out/grpc-cpp" $(pkg-config --cflags --libs grpc++ protobuf)
