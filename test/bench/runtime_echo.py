"""The echo lines of `./dev bench runtime`: one load generator against each runtime's TCP server.

A server is a process of its own; its CPU time per message is what counts. The load takes the rest
of the same processors, so messages per second compare servers but are no server's limit.
"""
import json
import os
import statistics
import subprocess
import sys

import measure

CONNECTIONS = [1, 100, 1_000, 10_000]
LINES = {f"echo-{connections}": connections for connections in CONNECTIONS}
# server: (program, its line, what it is)
SERVERS = {
    "ours": ("ours", "echo", "ours, a fiber each"),
    "ours-callback": ("ours", "echo-callback", "ours, a callback each"),
    "go": ("go", "echo", "Go"),
    "tokio": ("tokio", "echo", "Tokio"),
    "epoll": ("epoll", "echo-callback", "plain epoll"),
}
GO_RATIO_MAX = 0.6
EPOLL_RATIO_MAX = 1.15


def load_once(command, connections, options):
    """One server's life: started, loaded, ended by the end of its input."""
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        port = server.stdout.readline().strip()
        load = [os.path.join(measure.ROOT, "build/release/vs/vs_load"), port, str(connections),
                str(2 * options.seconds), str(server.pid)]
        done = subprocess.run(load, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)}: {' '.join(load)}\n{done.stderr}")
        return json.loads(done.stdout)
    finally:
        server.stdin.close()
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        server.stdout.close()


def measure_lines(programs, lines, options):
    """{line: {server: [result of each round]}}"""
    programs = dict(programs, epoll=os.path.join(measure.ROOT, "build/release/vs/vs_epoll"))
    runs = {line: {} for line in lines}
    for number in range(options.rounds):
        print(f"echo: round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
        for line in lines:
            for name, (program, server_line, _) in SERVERS.items():
                if program not in programs:
                    continue
                command = [programs[program], server_line, "--workers", str(options.workers)]
                runs[line].setdefault(name, []).append(
                    load_once(command, LINES[line], options))
    return runs


def cpu_ratio(runs, name, other):
    if other not in runs:
        return None
    return statistics.median(
        (a["cpu_ns"] / a["ops"]) / (b["cpu_ns"] / b["ops"])
        for a, b in zip(runs[name], runs[other]))


def table_row(line, name, runs):
    results = runs[name]
    def median(value):
        return statistics.median(value(result) for result in results)
    go, epoll = cpu_ratio(runs, name, "go"), cpu_ratio(runs, name, "epoll")
    met = "-"
    if name.startswith("ours") and go is not None:
        met = "yes" if go <= GO_RATIO_MAX and epoll <= EPOLL_RATIO_MAX else "NO"
    return [f"{LINES[line]:,}", SERVERS[name][2],
            f"{median(lambda r: r['ops'] / r['wall_ns'] * 1e9):,.0f}",
            f"{median(lambda r: r['cpu_ns'] / r['ops'] / 1000):.2f}",
            f"{median(lambda r: r['p50_ns'] / 1000):,.0f}",
            f"{median(lambda r: r['p99_ns'] / 1000):,.0f}",
            *(f"{ratio:.2f}" if ratio is not None else "-" for ratio in (go, epoll)), met]


def print_lines(runs, options):
    print(f"\nTCP echo of 64 bytes, one message under way on each connection; "
          f"{options.rounds} rounds of {2 * options.seconds:g} s; CPU of the server.\n"
          f"Bars: <= {GO_RATIO_MAX:g}x Go and <= {EPOLL_RATIO_MAX:g}x epoll\n")
    measure.print_table(["connections", "server", "msg/s", "CPU us/msg", "P50 us", "P99 us",
                         "x Go", "x epoll", "met?"],
                        [table_row(line, name, runs[line]) for line in runs
                         for name in runs[line]])
