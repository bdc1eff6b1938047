#!/usr/bin/env python3
"""tools/coverage.py BUILD_DIR: runs a coverage build's unit tests and prints a table by folder.

Lines and branches of src/ that the tests reach; the test code itself is not counted. What only
other processes do (the binary under test/run.sh) is not seen. Details of one file:

    llvm-cov-19 show -instr-profile BUILD_DIR/unit.profdata BUILD_DIR/src/PATH/NAME_test src/FILE
"""
import collections
import glob
import json
import os
import shutil
import subprocess
import sys

LEFT_OUT = r".*(_test|_bench|_fuzz|_testing)\.(cc|h)$"


def run_tests(build):
    """ctest, each process adding to its program's profile. True if all passed."""
    profiles = os.path.join(build, "profiles")
    shutil.rmtree(profiles, ignore_errors=True)
    environment = dict(os.environ, LLVM_PROFILE_FILE=os.path.join(profiles, "%m.profraw"))
    command = ["ctest", "--test-dir", build, "-j", str(os.cpu_count()), "--output-on-failure",
               "--exclude-regex", "^lint"]
    passed = subprocess.run(command, env=environment, check=False).returncode == 0
    subprocess.run(["llvm-profdata-19", "merge", "-sparse", "-o", f"{build}/unit.profdata",
                    *glob.glob(f"{profiles}/*.profraw")], check=True)
    return passed


def summaries(build):
    """(path from src/, {"lines": {"count", "covered"}, "branches": ...}) of each source file."""
    programs = [path for path in glob.glob(f"{build}/src/**/*_test", recursive=True)
                if os.path.isfile(path)]
    objects = [argument for path in programs[1:] for argument in ("-object", path)]
    command = ["llvm-cov-19", "export", "-summary-only", f"-ignore-filename-regex={LEFT_OUT}",
               f"-instr-profile={build}/unit.profdata", programs[0], *objects]
    report = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    root = os.path.realpath("src") + os.sep
    for file in report["data"][0]["files"]:
        if file["filename"].startswith(root):
            yield file["filename"][len(root):], file["summary"]


def row(name, count):
    cells = [f"{name:<16}"]
    for kind in ("lines", "branches"):
        total, covered = count[kind, "count"], count[kind, "covered"]
        share = f"{100 * covered / total:5.1f} %" if total else "      -"
        cells.append(f"{covered:>7} / {total:>6} {share}")
    print("  ".join(cells))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    build = os.path.abspath(sys.argv[1])
    passed = run_tests(build)
    folders = collections.defaultdict(collections.Counter)
    for path, summary in summaries(build):
        for kind in ("lines", "branches"):
            for part in ("count", "covered"):
                for folder in (os.path.dirname(path), "all"):
                    folders[folder][kind, part] += summary[kind][part]
    print(f"{'folder':<16}  {'lines':^24}  {'branches':^24}")
    for folder in sorted(set(folders) - {"all"}):
        row(folder, folders[folder])
    row("all", folders["all"])
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
