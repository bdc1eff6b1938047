# Sourced by the scripts beside it: starts and stops servers for clients that are run from a shell.
# SLUICE_BIN is the server under test, ETCD_BIN the reference; see test/harness/server.go.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
: "${SLUICE_BIN:=$root/build/release/sluice}"
: "${ETCD_BIN:=$root/build/test/etcd/etcd}"
export TSAN_OPTIONS="suppressions=$root/test/tsan.supp:${TSAN_OPTIONS:-}"
work=$(mktemp -d)
pids=()
declare -A servers=() # name -> pid

# Fails when a server ended unasked, or printed what only a sanitizer prints.
cleanup() {
    local status=$? name log marks=$root/test/harness/report_marks.txt
    for name in "${!servers[@]}"; do
        kill -0 "${servers[$name]}" 2>/dev/null && continue
        echo "$name ended unasked; its log ends:" && tail -n 20 "$work/$name.log"
        status=1
    done
    # Clients were started after servers; none may stay, whatever the others end with.
    [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
    wait || true
    for log in "$work"/*.log; do
        grep -qsFf "$marks" "$log" || continue
        echo "$log:" && grep -m1 -A60 -Ff "$marks" "$log"
        status=1
    done
    rm -rf "$work"
    exit "$status"
}
trap cleanup EXIT

free_port() {
    python3 -c 'import socket
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    print(probe.getsockname()[1])'
}

# start_server NAME BINARY: starts it on a free port; the address is then in $address.
start_server() {
    local name=$1 binary=$2 verb=() peer
    address=127.0.0.1:$(free_port)
    case $(basename "$binary") in
        etcd*)
            peer=http://127.0.0.1:$(free_port)
            verb=(--listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer"
                --initial-cluster "default=$peer") ;;
        *) verb=(serve) ;;
    esac
    "$binary" "${verb[@]}" --name default --data-dir "$work/$name" \
        --listen-client-urls "http://$address" --advertise-client-urls "http://$address" \
        >"$work/$name.log" 2>&1 &
    pids+=($!)
    servers[$name]=$!
    local waited=0
    until grep -qs "ready to serve client requests" "$work/$name.log"; do
        if ! kill -0 "${pids[-1]}" 2>/dev/null || [ $((waited += 1)) -gt 600 ]; then
            echo "$name does not serve: $(tail -5 "$work/$name.log")" >&2
            return 1
        fi
        sleep 0.05
    done
}
