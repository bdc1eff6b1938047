#!/usr/bin/env python3
"""10,000 small files: a task each against a worker pool, ours and Go's (bench/small_files)

Files of 1 KiB in one folder, in the page cache, are opened, read to their end and closed: by one
thread in a loop, by a task each, by a worker pool, and by a pool of four fibers that read by
io::SmallFileReader. The programs run in turn; a round's figure is the median of its passes, the
table's the median of the rounds. Bar: a pool of ours is 3 times as fast as a task each, ours and
Go's.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile

import measure

FILES = 10_000
FILE_BYTES = 1_024
BAR = 3
MODES = {"ours": ("loop", "each", "pool", "reader"), "Go": ("loop", "each", "pool")}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--passes", type=int, default=5, help="of a program in a round")
    return parser.parse_args()


def built_programs():
    ours = os.path.join(measure.ROOT, "build/release/bench/small_files")
    for command in (["--preset", "release"],
                    ["--build", "--preset", "release", "--target", "small_files"]):
        subprocess.run(["cmake", *command], cwd=measure.ROOT, check=True,
                       stdout=subprocess.DEVNULL)
    go = os.path.join(measure.SCRATCH, "small_files_go")
    subprocess.run(["go", "build", "-trimpath", "-o", go, "."], check=True,
                   cwd=os.path.join(measure.ROOT, "bench/small_files/go"))
    return {"ours": ours, "Go": go}


def run(program, directory, mode, passes):
    out = subprocess.run([program, directory, mode, str(passes)], check=True,
                         stdout=subprocess.PIPE).stdout
    result = json.loads(out)
    assert result["bytes"] == FILES * FILE_BYTES, result
    return result


def main():
    options = arguments()
    os.makedirs(measure.SCRATCH, exist_ok=True)
    programs = built_programs()
    results = {(name, mode): [] for name in programs for mode in MODES[name]}
    with tempfile.TemporaryDirectory(prefix="files-", dir=measure.SCRATCH) as directory:
        for i in range(FILES):
            with open(os.path.join(directory, str(i)), "wb") as file:
                file.write(bytes(FILE_BYTES))
        for _ in range(options.rounds):
            for name, mode in results:
                results[name, mode].append(run(programs[name], directory, mode, options.passes))

    def ratio(slow, fast, field="wall_ms"):
        return statistics.median(a[field] / b[field]
                                 for a, b in zip(results[slow], results[fast]))

    print("| who | how | tasks | wall ms | CPU ms |")
    print("|---|---|--:|--:|--:|")
    for (name, mode), runs in results.items():
        wall, cpu = (statistics.median(r[field] for r in runs) for field in ("wall_ms", "cpu_ms"))
        print(f"| {name} | {mode} | {runs[0]['tasks']:,} | {wall:.0f} | {cpu:.0f} |")
    for mode in ("pool", "reader"):
        for name in programs:
            times = ratio((name, "each"), ("ours", mode))
            met = "met" if times >= BAR else "NOT met"
            cpu = ratio((name, "each"), ("ours", mode), "cpu_ms")
            print(f"Our {mode} is {times:.2f} times as fast as a task each of {name} "
                  f"(bar {BAR}: {met}); CPU {cpu:.2f} times less")
    print(f"Go's pool is {ratio(('Go', 'each'), ('Go', 'pool')):.2f} times as fast as its tasks")


if __name__ == "__main__":
    main()
