#!/usr/bin/env python3
"""Do blocking calls stall other tasks? (bench/blocking)

1,000 fibers make timed echo calls over TCP on two workers, alone; while 64 fibers commit rows to
SQLite through rt::blocking(); and while the same 64 call SQLite inline. The three run in turn, on
this machine's disk with fsync on. Bar: with the pool the calls' P99 is at most 1.5 times what it is
without SQLite. Needs SQLite's headers (tools/packages.txt).
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile

import measure

MODES = ("none", "pool", "inline")
BAR = 1.5


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    return parser.parse_args()


def run(program, mode, seconds):
    os.makedirs(measure.SCRATCH, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sqlite-", dir=measure.SCRATCH) as directory:
        out = subprocess.run([program, mode, str(seconds), directory], check=True,
                             stdout=subprocess.PIPE).stdout
    return json.loads(out)


def main():
    options = arguments()
    # Configured anew: SQLite's headers may be newer than the build folder.
    for command in (["--preset", "release"],
                    ["--build", "--preset", "release", "--target", "blocking_bench"]):
        subprocess.run(["cmake", *command], cwd=measure.ROOT, check=True,
                       stdout=subprocess.DEVNULL)
    program = os.path.join(measure.ROOT, "build/release/bench/blocking_bench")
    results = {mode: [] for mode in MODES}
    for _ in range(options.rounds):
        for mode in MODES:
            results[mode].append(run(program, mode, options.seconds))

    def median(mode, field):
        return statistics.median(result[field] for result in results[mode])

    print("| SQLite | echo calls | P50 us | P99 us | max us | commits/s | P99 x none |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for mode in MODES:
        ratio = statistics.median(ours["p99_us"] / alone["p99_us"]
                                  for ours, alone in zip(results[mode], results["none"]))
        print(f"| {mode} | {median(mode, 'calls'):,.0f} | {median(mode, 'p50_us'):,.0f} "
              f"| {median(mode, 'p99_us'):,.0f} | {median(mode, 'max_us'):,.0f} "
              f"| {median(mode, 'commits') / options.seconds:,.0f} | {ratio:.2f} |")
        if mode == "pool":
            met = "met" if ratio <= BAR else "NOT met"
    print(f"Bar, the pool's P99 at most {BAR}x of none's: {met}")


if __name__ == "__main__":
    main()
