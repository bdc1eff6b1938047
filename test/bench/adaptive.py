#!/usr/bin/env python3
"""Does a number of workers that follows the load beat every fixed one? (bench/adaptive)

64 fibers make requests one after the other, in phases that take turns: computing, reads of the disk
that block their worker's thread, and both mixed. The same load runs on 1, 2, 4 and 8 workers and on
a number that follows it between 1 and 8 (Options::workers_min), in turn. Bar: more requests and a
lower P99 than with any fixed number.
"""
import os
import tempfile

import measure

FIXED = ("1", "2", "4", "8")
FOLLOWS = "1-8"
FILE_BYTES = 256 << 20
PHASES = ("compute", "read", "mixed")


def arguments():
    parser = measure.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--phase-seconds", type=float, default=2)
    parser.add_argument("--program", help="one that is built already")
    return parser.parse_args()


def main():
    options = arguments()
    program = options.program or measure.built("adaptive_bench")
    seconds = len(PHASES) * options.phase_seconds
    os.makedirs(measure.SCRATCH, exist_ok=True)
    with tempfile.NamedTemporaryFile(prefix="adaptive-", dir=measure.SCRATCH) as data:
        for _ in range(FILE_BYTES >> 20):
            data.write(os.urandom(1 << 20))
        data.flush()
        os.fsync(data.fileno())
        results = measure.in_turn(
            options.rounds, (*FIXED, FOLLOWS),
            lambda workers: measure.run_json(program, workers, seconds, options.phase_seconds,
                                             data.name))

    def row(workers):
        median = measure.median(results[workers])
        return [workers, f"{median['requests'] / seconds:,.0f}",
                *(f"{median[phase] / options.phase_seconds:,.0f}" for phase in PHASES),
                measure.milliseconds(median["p50_us"]), measure.milliseconds(median["p99_us"]),
                f"{median['cpu_percent']:.0f}", f"{median['changes']:.0f}"]

    measure.print_table(["workers", "requests/s", *(f"{phase}/s" for phase in PHASES), "P50 ms",
                         "P99 ms", "CPU %", "changes"], [row(workers) for workers in results],
                        names=1)

    met = True
    for fixed in FIXED:
        more, later = (measure.ratio(results[FOLLOWS], results[fixed], field)
                       for field in ("requests", "p99_us"))
        met = met and more > 1 and later < 1
        print(f"{FOLLOWS} against {fixed}: {more:.2f} times the requests, "
              f"{later:.2f} times the P99")
    print("Bar, more requests and a lower P99 than with any fixed number: "
          + ("met" if met else "NOT met"))


if __name__ == "__main__":
    main()
