#!/usr/bin/env python3
"""Does a number of workers that follows the load beat every fixed one? (bench/adaptive)

64 fibers make requests one after the other, in phases that take turns: computing, reads of the disk
that block their worker's thread, and both mixed. The same load runs on 1, 2, 4 and 8 workers and on
a number that follows it between 1 and 8 (Options::workers_min), in turn. Bar: more requests and a
lower P99 than with any fixed number.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile

import measure

FIXED = ("1", "2", "4", "8")
FOLLOWS = "1-8"
FILE_BYTES = 256 << 20
PHASES = ("compute", "read", "mixed")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--phase-seconds", type=float, default=2)
    parser.add_argument("--program", help="one that is built already")
    return parser.parse_args()


def built():
    for command in (["--preset", "release"],
                    ["--build", "--preset", "release", "--target", "adaptive_bench"]):
        subprocess.run(["cmake", *command], cwd=measure.ROOT, check=True,
                       stdout=subprocess.DEVNULL)
    return os.path.join(measure.ROOT, "build/release/bench/adaptive_bench")


def main():
    options = arguments()
    program = options.program or built()
    seconds = len(PHASES) * options.phase_seconds
    results = {workers: [] for workers in (*FIXED, FOLLOWS)}
    os.makedirs(measure.SCRATCH, exist_ok=True)
    with tempfile.NamedTemporaryFile(prefix="adaptive-", dir=measure.SCRATCH) as data:
        for _ in range(FILE_BYTES >> 20):
            data.write(os.urandom(1 << 20))
        data.flush()
        os.fsync(data.fileno())
        for _ in range(options.rounds):
            for workers, runs in results.items():
                out = subprocess.run([program, workers, str(seconds), str(options.phase_seconds),
                                      data.name], check=True, stdout=subprocess.PIPE).stdout
                runs.append(json.loads(out))

    def row(workers):
        runs = results[workers]

        def median(value):
            return statistics.median(value(run) for run in runs)
        return [workers, f"{median(lambda run: run['requests']) / seconds:,.0f}",
                *(f"{median(lambda run, i=i: run['by_phase'][i]) / options.phase_seconds:,.0f}"
                  for i in range(len(PHASES))),
                *(measure.milliseconds(median(lambda run, field=field: run[field]))
                  for field in ("p50_us", "p99_us")),
                f"{median(lambda run: run['cpu_percent']):.0f}",
                f"{median(lambda run: run['changes']):.0f}"]

    measure.print_table(["workers", "requests/s", *(f"{phase}/s" for phase in PHASES), "P50 ms",
                         "P99 ms", "CPU %", "changes"], [row(workers) for workers in results],
                        names=1)

    # Of the same round, so that what else the machine does weighs on both.
    def ratio(fixed, field):
        return statistics.median(follows[field] / run[field]
                                 for follows, run in zip(results[FOLLOWS], results[fixed]))
    met = True
    for fixed in FIXED:
        more, later = ratio(fixed, "requests"), ratio(fixed, "p99_us")
        met = met and more > 1 and later < 1
        print(f"{FOLLOWS} against {fixed}: {more:.2f} times the requests, "
              f"{later:.2f} times the P99")
    print("Bar, more requests and a lower P99 than with any fixed number: "
          + ("met" if met else "NOT met"))


if __name__ == "__main__":
    main()
