#!/usr/bin/env python3
"""Our runtime beside Go, Tokio and Boost.Fiber: programs of the same shape (bench/vs), one table.

Each round runs every line in one program after the other, so that what else the machine does falls
on all of them. A cell is the median of the rounds; a ratio is the median of the rounds' ratios.
Figures are CPU time per operation (user and system, all threads of the process); "wall" is the
same ratio in wall-clock time.
"""
import json
import os
import resource
import statistics
import subprocess
import sys

import measure
import runtime_echo

UNKNOWN_LINE = 3
AHEAD = 1.0
PEERS = {"go": "Go", "tokio": "Tokio", "boost": "Boost.Fiber"}
# line: what it is, the bar for ours / Go, and the bar for ours alone (ns; bytes of `parked`)
LINES = {
    "switch": ("bare switch, one way", AHEAD, 5),
    "yield-2": ("yield, 2 tasks", 0.5, None),
    "yield-1000": ("yield, 1,000 tasks", 0.5, None),
    "spawn": ("spawn + join", 0.6, None),
    "spawn-100": ("spawn + join, 100 at a time", 0.6, None),
    "unbuffered": ("unbuffered channel, there and back", 0.8, None),
    "buffered": ("buffered channel, a message", 0.8, None),
    "select": ("select of 2, there and back", 0.8, None),
    "mutex": ("mutex, alone", AHEAD, None),
    "mutex-contended": ("mutex, 8 tasks", AHEAD, None),
    "timer": ("timer add + cancel, 10,000 live", AHEAD, None),
    "context": ("context with timeout + cancel", AHEAD, None),
    "pool": ("pool get + put", AHEAD, None),
    "parked": ("a parked task's memory, bytes", AHEAD, 4500),
}


def arguments():
    parser = measure.parser(__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="LINE",
                        help="only this line; may be given again: " +
                        ", ".join([*LINES, *runtime_echo.LINES]))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each line in each round")
    parser.add_argument("--workers", type=int, default=2, help="threads that run tasks")
    parser.add_argument("--parked", type=int, default=1_000_000, help="tasks of the line `parked`")
    parser.add_argument("--peer", action="append", choices=PEERS, help="only beside these peers")
    parser.add_argument("--json", help="write all runs to this file")
    return parser.parse_args()


def built_programs(options):
    """{name: path}, ours first. A peer that is not there has had its line printed."""
    vs = os.path.join(measure.ROOT, "build/release/vs")  # `./dev bench runtime` has built these
    out = os.path.join(measure.ROOT, "build/vs")
    subprocess.run([os.path.join(measure.ROOT, "bench/vs/build.sh"), out], check=True)
    programs = {"ours": os.path.join(vs, "vs_sluice"), "go": os.path.join(out, "go"),
                "tokio": os.path.join(out, "tokio"),
                "boost": os.path.join(vs, "vs_boost_fiber")}
    if not os.path.exists(programs["boost"]):
        print("runtime: no boost: libboost-fiber1.81-dev is not installed")
    return {name: path for name, path in programs.items()
            if os.path.exists(path) and name in ["ours", *(options.peer or PEERS)]}


def run(program, line, options):
    """The line's result, or None if the program does not have it."""
    command = [program, line, "--workers", str(options.workers), "--seconds",
               str(options.seconds), "--count", str(options.parked)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode == UNKNOWN_LINE:
        return None
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def per_op(result, by):
    return result["rss_bytes" if result["line"] == "parked" else by] / result["ops"]


def median_ratio(runs, peer, by):
    """ours / peer; None if one of them does not have the line."""
    if not runs.get("ours") or not runs.get(peer):
        return None
    return statistics.median(per_op(ours, by) / per_op(theirs, by)
                             for ours, theirs in zip(runs["ours"], runs[peer]))


def figure(runs):
    if not runs:
        return "-"
    value = statistics.median(per_op(result, "cpu_ns") for result in runs)
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def table_row(line, runs):
    label, ratio_max, own_max = LINES[line]
    cpu, wall = median_ratio(runs, "go", "cpu_ns"), median_ratio(runs, "go", "wall_ns")
    bars = [f"<= {ratio_max:g}x Go" if ratio_max < AHEAD else "< Go"]
    met = cpu is not None and (cpu <= ratio_max if ratio_max < AHEAD else cpu < AHEAD)
    if own_max is not None:
        bars.append(f"< {own_max}")
        met = met and statistics.median(per_op(r, "cpu_ns") for r in runs["ours"]) < own_max
    ratio = [f"{value:.2f}" if value is not None else "-" for value in (cpu, wall)]
    return [label, *(figure(runs.get(name)) for name in ("ours", *PEERS)), *ratio,
            ", ".join(bars), "-" if cpu is None else "yes" if met else "NO"]


def measure_lines(programs, lines, options):
    """{line: {program: [result of each round]}}"""
    runs = {line: {} for line in lines}
    for number in range(options.rounds if lines else 0):
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
        for line in lines:
            # Memory does not vary as time does, and a million tasks take their time.
            if line == "parked" and number > 0:
                continue
            for name, program in programs.items():
                result = run(program, line, options)
                if result is not None:
                    runs[line].setdefault(name, []).append(result)
    return runs


def print_lines(runs, options):
    print(f"{options.rounds} rounds of {options.seconds:g} s a line, {options.workers} workers, "
          f"{os.cpu_count()} processors; CPU ns per operation\n")
    measure.print_table(["line", "ours", *PEERS.values(), "ours/Go", "wall", "bar", "met?"],
                        [table_row(line, runs[line]) for line in runs], names=1)


def main():
    options = arguments()
    every = [*LINES, *runtime_echo.LINES]
    unknown = set(options.only) - set(every)
    if unknown:
        raise SystemExit(f"no line is called {', '.join(sorted(unknown))}; there are: "
                         f"{', '.join(every)}")
    # The servers of the echo lines, and the load, need a descriptor a connection.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wanted = [line for line in every if not options.only or line in options.only]
    programs = built_programs(options)
    runs = measure_lines(programs, [line for line in wanted if line in LINES], options)
    echoes = [line for line in wanted if line in runtime_echo.LINES]
    if echoes:
        runs.update(runtime_echo.measure_lines(programs, echoes, options))
    if any(line in LINES for line in runs):
        print_lines({line: runs[line] for line in runs if line in LINES}, options)
    if echoes:
        runtime_echo.print_lines({line: runs[line] for line in echoes}, options)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(runs, file, indent=1)


if __name__ == "__main__":
    main()
