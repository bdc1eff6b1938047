#!/usr/bin/env python3
"""10,000 small files: a task each against a worker pool, ours and Go's (bench/small_files)

Files of 1 KiB in one folder, in the page cache, are opened, read to their end and closed: by one
thread in a loop, by a task each, by a worker pool, and by a pool of four fibers that read by
io::SmallFileReader. The programs run in turn; a round's figure is the median of its passes, the
table's the median of the rounds. Bar: a pool of ours is 3 times as fast as a task each, ours and
Go's.
"""
import os
import tempfile

import measure

FILES = 10_000
FILE_BYTES = 1_024
BAR = 3
MODES = {"ours": ("loop", "each", "pool", "reader"), "Go": ("loop", "each", "pool")}


def arguments():
    parser = measure.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--passes", type=int, default=5, help="of a program in a round")
    return parser.parse_args()


def run(program, directory, mode, passes):
    result = measure.run_json(program, directory, mode, passes)
    assert result["bytes"] == FILES * FILE_BYTES, result
    return result


def main():
    options = arguments()
    os.makedirs(measure.SCRATCH, exist_ok=True)
    programs = {"ours": measure.built("small_files"),
                "Go": measure.built_go("bench/small_files/go")}
    programs = {name: program for name, program in programs.items() if program}
    with tempfile.TemporaryDirectory(prefix="files-", dir=measure.SCRATCH) as directory:
        for i in range(FILES):
            with open(os.path.join(directory, str(i)), "wb") as file:
                file.write(bytes(FILE_BYTES))
        results = measure.in_turn(
            options.rounds, [(name, mode) for name in programs for mode in MODES[name]],
            lambda key: run(programs[key[0]], directory, key[1], options.passes))

    def times(slow, fast, field="wall_ms"):
        return measure.ratio(results[slow], results[fast], field)

    rows = []
    for (name, mode), runs in results.items():
        median = measure.median(runs)
        rows.append([name, mode, f"{median['tasks']:,.0f}", f"{median['wall_ms']:.0f}",
                     f"{median['cpu_ms']:.0f}"])
    measure.print_table(["who", "how", "tasks", "wall ms", "CPU ms"], rows)
    for mode in ("pool", "reader"):
        for name in programs:
            faster = times((name, "each"), ("ours", mode))
            met = "met" if faster >= BAR else "NOT met"
            cpu = times((name, "each"), ("ours", mode), "cpu_ms")
            print(f"Our {mode} is {faster:.2f} times as fast as a task each of {name} "
                  f"(bar {BAR}: {met}); CPU {cpu:.2f} times less")
    if "Go" in programs:
        print(f"Go's pool is {times(('Go', 'each'), ('Go', 'pool')):.2f} times as fast as its "
              "tasks")


if __name__ == "__main__":
    main()
