#!/usr/bin/env python3
"""What tasks, sockets and caches cost in memory, and when it comes back (bench/memory).

Parked fibers on small and on normal stacks, beside as many goroutines; idle TCP sockets that no
fiber holds, beside a goroutine for each in Go; and bursts: fibers that end, and pools beyond a
memory limit, timed until their memory is with the kernel again. "user" is the growth of resident
memory; "page tables" the kernel's for it; "kernel" that of its slabs on the whole machine, which
others on it disturb. Bars: 4.5 KB a parked fiber, page tables included, 400 bytes of user memory a
socket, memory back within a second.

One process may hold fewer descriptors than there are sockets. Ours then spreads them over several
tables of descriptors in one address space (bench/memory/sockets.cc); Go holds what one table takes.
"""
import resource

import measure

FIBER_BYTES_MAX = 4500
SOCKET_BYTES_MAX = 400
BACK_MS_MAX = 1000
OTHER_DESCRIPTORS = 200


def arguments():
    parser = measure.parser(__doc__)
    parser.add_argument("--fibers", type=int, default=1_000_000)
    parser.add_argument("--sockets", type=int, default=1_000_000)
    parser.add_argument("--burst-mib", type=int, default=512)
    parser.add_argument("--poller", default="auto", help="auto, io_uring or epoll")
    return parser.parse_args()


def verdict(met):
    return "yes" if met else "NO"


def fiber_rows(ours, go, count):
    for stack in "small", "normal":
        got = measure.run_json(ours, "fibers", count, stack)
        user, tables = (got[field] / got["count"] for field in ("resident", "page_tables"))
        yield [f"parked fiber, {stack} stack", f"{got['count']:,}", f"{user:,.0f}",
               f"{tables:,.0f}", "-", f"< {FIBER_BYTES_MAX}",
               verdict(user + tables < FIBER_BYTES_MAX)], got
    if go:
        got = measure.run_json(go, "parked", "-count", count)
        yield ["Go: parked goroutine", f"{got['ops']:,}", f"{got['rss_bytes'] / got['ops']:,.0f}",
               "-", "-", "-", "-"], None


def socket_rows(ours, go, options):
    got = measure.run_json(ours, "sockets", options.sockets, options.poller)
    user, tables, kernel = (got[field] / got["count"]
                            for field in ("resident", "page_tables", "kernel_slabs"))
    yield [f"idle {got['kind']} socket, {got['poller']}", f"{got['count']:,}", f"{user:,.0f}",
           f"{tables:,.0f}", f"{kernel:,.0f}", f"< {SOCKET_BYTES_MAX}",
           verdict(user < SOCKET_BYTES_MAX)]
    if go:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1] - OTHER_DESCRIPTORS
        got = measure.run_json(go, "sockets", "-count", min(options.sockets, most))
        yield ["Go: socket, a goroutine each", f"{got['ops']:,}",
               f"{got['rss_bytes'] / got['ops']:,.0f}", "-", "-", "-", "-"]


def main():
    options = arguments()
    ours = measure.built("memory_bench")
    go = measure.built_go("bench/vs/go")
    rows, bursts = [], []
    for row, got in fiber_rows(ours, go, options.fibers):
        rows.append(row)
        if got:
            bursts.append([f"{got['count']:,} fibers, {got['stack']} stacks, end",
                           got["resident"], got["left"], got["back_ms"]])
    rows.extend(socket_rows(ours, go, options))
    for how, what in (("limited", "pools beyond the limit, others go on"),
                      ("quiet", "pools without a limit, then quiet")):
        got = measure.run_json(ours, "burst", options.burst_mib << 20, how)
        bursts.append([what, got["full"] - got["start"], got["left"] - got["start"],
                       got["back_ms"]])
    print("bytes of each\n")
    measure.print_table(["what", "count", "user", "page tables", "kernel", "bar", "met?"], rows,
                        names=1)
    print("\nuntil nine tenths (pools: three quarters) are back with the kernel\n")
    measure.print_table(["what", "MiB", "left MiB", "ms", f"<= {BACK_MS_MAX}?"],
                        [[what, f"{grown / 2**20:,.0f}", f"{left / 2**20:,.0f}", f"{ms:,}",
                          verdict(0 <= ms <= BACK_MS_MAX)] for what, grown, left, ms in bursts],
                        names=1)


if __name__ == "__main__":
    main()
