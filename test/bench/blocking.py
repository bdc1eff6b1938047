#!/usr/bin/env python3
"""Do blocking calls stall other tasks? (bench/blocking)

1,000 fibers make timed echo calls over TCP on two workers, alone; while 64 fibers commit rows to
SQLite through rt::blocking(); and while the same 64 call SQLite inline. A fourth run shows what the
machine itself does to the calls: SQLite in 64 threads of another process, at the lowest priority.
All run in turn, on this machine's disk with fsync on. Bar: with the pool the calls' P99 is at most
1.5 times what it is without SQLite. Needs SQLite's headers (tools/packages.txt).
"""
import os
import tempfile

import measure

MODES = ("none", "pool", "inline", "apart")
BAR = 1.5


def arguments():
    parser = measure.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    return parser.parse_args()


def run(program, mode, seconds):
    with tempfile.TemporaryDirectory(prefix="sqlite-", dir=measure.SCRATCH) as directory:
        return measure.run_json(program, mode, seconds, directory)


def main():
    options = arguments()
    os.makedirs(measure.SCRATCH, exist_ok=True)
    program = measure.built("blocking_bench")
    results = measure.in_turn(options.rounds, MODES,
                              lambda mode: run(program, mode, options.seconds))
    slower = {mode: measure.ratio(results[mode], results["none"], "p99_us") for mode in MODES}
    rows = []
    for mode in MODES:
        median = measure.median(results[mode])
        rows.append([mode, *(f"{median[field]:,.0f}"
                             for field in ("calls", "p50_us", "p99_us", "max_us")),
                     f"{median['commits'] / options.seconds:,.0f}", f"{slower[mode]:.2f}"])
    measure.print_table(["SQLite", "echo calls", "P50 us", "P99 us", "max us", "commits/s",
                         "P99 x none"], rows, names=1)
    met = "met" if slower["pool"] <= BAR else "NOT met"
    print(f"Bar, the pool's P99 at most {BAR}x of none's: {met}")


if __name__ == "__main__":
    main()
