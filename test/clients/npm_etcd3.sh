#!/usr/bin/env bash
# test/clients/npm_etcd3.sh [sluice|etcd]: the npm client etcd3 against a server that we start.
# First our own short script with the released package; then the client's own suite, which is not
# in the package: from NPM_ETCD3_SRC (a checkout) or cloned from GitHub at the release's tag.
# Without either only the short script runs, and says so. Exits non-zero on any failure.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
which=${1:-sluice}
case $which in sluice) binary=$SLUICE_BIN ;; etcd) binary=$ETCD_BIN ;; *) exit 2 ;; esac
version=1.1.2
home=$root/build/test/npm-etcd3
here=$root/test/clients
mkdir -p "$home/client"

start_server "$which" "$binary"
if [ ! -d "$home/client/node_modules/etcd3" ]; then
    npm install --silent --no-audit --no-fund --prefix "$home/client" "etcd3@$version"
fi
NODE_PATH=$home/client/node_modules ETCD_ADDR=$address timeout 60 node "$here/npm_etcd3.js"

source=${NPM_ETCD3_SRC:-$home/source}
if [ ! -d "$source" ]; then
    timeout 60 git clone -q --depth 1 -b "v$version" \
        https://github.com/microsoft/etcd3.git "$source" 2>/dev/null || {
        echo "npm etcd3: no NPM_ETCD3_SRC and no GitHub, its own suite was NOT run"
        exit 0
    }
fi
cd "$source"
[ -d node_modules ] || npm ci --silent --ignore-scripts --no-audit --no-fund
[ -d lib/test ] || npx --no-install tsc

# The suite speaks TLS only; a proxy with the suite's own certificate takes it off.
certs=src/test/certs
node "$here/tls_proxy.js" $certs/certs/etcd0.localhost.crt $certs/private/etcd0.localhost.key \
    "$address" >"$work/proxy" &
pids+=($!)
until [ -s "$work/proxy" ]; do sleep 0.05; done
# NPM_ETCD3_INVERT: a pattern of tests to leave out, for services that the server does not carry.
auth="roles|users|auth|password|cancelled upon creation" # the last one sets auth up first
invert=()
[ "$which" = etcd ] || invert=(--grep "${NPM_ETCD3_INVERT:-$auth}" --invert)
ETCD_ADDR=$(cat "$work/proxy") timeout 280 npx --no-install mocha --reporter dot "${invert[@]}"
