#!/usr/bin/env python3
"""How long a server takes from exec to "ready to serve client requests": Sluice beside a real etcd.

Each round starts each server on an empty directory, waits for the line that it logs, stops it, and
starts it again on what it left. Then one of each is left alone: its memory, and the CPU time it
uses while nobody talks to it. The disk's own figures of the same minutes come first: nothing that
syncs N times one after the other starts faster than N of those.
"""
import contextlib
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

import measure

READY = "ready to serve client requests"
STOP_SECONDS_MAX = 15
SETTLE_SECONDS = 1  # for what a start leaves to do in the background; nothing says when it is done
IDLE_SECONDS = 5
FLOOR_ROUNDS = 40
BLOCK = 4096


def arguments():
    parser = measure.parser(__doc__)
    parser.add_argument("--sluice", default=os.path.join(measure.ROOT, "build/release/sluice"))
    parser.add_argument("--etcd", help="an etcd (default: the one that test/etcd/build.sh makes)")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--no-syncs", action="store_true",
                        help="do not count syncs (one more start of each, under strace)")
    return parser.parse_args()


class Start:
    """A server that has just logged that it serves; `milliseconds` after it was started, having
    used `cpu_ms` of CPU time in the threads that are left."""

    def __init__(self, command_for, directory, prefix=()):
        command = command_for(measure.free_port(), measure.free_port(), directory)
        command = [*prefix, *("info" if part == "warn" else part for part in command)]
        began = time.monotonic()
        # strace passes no signals on: what is started here is a group of its own.
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        start_new_session=True, text=True)
        log = ""
        for line in self.process.stderr:
            log += line
            if READY in line:
                self.milliseconds = (time.monotonic() - began) * 1000
                self.cpu_ms = cpu_ns(self.process.pid) / 1e6
                return
        self.process.wait()
        raise SystemExit(f"{' '.join(command)} did not start:\n{log[-2000:]}")

    def stop(self):
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.communicate(timeout=STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.communicate()


def cpu_ns(pid):
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            with open(f"/proc/{pid}/task/{thread}/schedstat") as schedstat:
                total += int(schedstat.read().split()[0])
    return total


@contextlib.contextmanager
def fresh_directory(name):
    os.makedirs(measure.SCRATCH, exist_ok=True)
    directory = tempfile.mkdtemp(prefix=name + "-", dir=measure.SCRATCH)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def two_starts(name, command):
    with fresh_directory(name) as directory:
        times = []
        for _ in ("empty", "again"):
            server = Start(command, directory)
            server.stop()
            times.append((server.milliseconds, server.cpu_ms))
        return times


def syncs_before_ready(name, command):
    """How many syncs were made before the line was written, as strace saw it."""
    with fresh_directory(name) as directory:
        trace = os.path.join(directory, "trace")
        prefix = ["strace", "-f", "-qq", "-s", "300", "-o", trace,
                  "-e", "trace=fsync,fdatasync,msync,sync_file_range,write,writev"]
        Start(command, directory, prefix).stop()
        count = 0
        with open(trace, errors="replace") as lines:
            for line in lines:
                if READY in line:
                    return str(count)
                call = line.split(maxsplit=1)[1]
                count += call.startswith(("fsync(", "fdatasync(", "msync("))
    raise SystemExit(f"{name}: strace did not see the line")


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def resident_mb(pid):
    with open(f"/proc/{pid}/status") as status:
        kilobytes = next(line.split()[1] for line in status if line.startswith("VmRSS"))
    return int(kilobytes) * 1024 / 1e6


def idle(name, command):
    """RSS in MB, and clock ticks of CPU in IDLE_SECONDS."""
    with fresh_directory(name) as directory:
        server = Start(command, directory)
        try:
            time.sleep(SETTLE_SECONDS)
            before = cpu_ticks(server.process.pid)
            time.sleep(IDLE_SECONDS)
            return resident_mb(server.process.pid), cpu_ticks(server.process.pid) - before
        finally:
            server.stop()


def timed(step):
    times = []
    for number in range(FLOOR_ROUNDS):
        began = time.monotonic()
        step(number)
        times.append((time.monotonic() - began) * 1000)
    return f"{statistics.median(times):.2f} ({min(times):.2f}-{max(times):.2f})"


def print_floor():
    with fresh_directory("floor") as directory:
        block = os.open(os.path.join(directory, "block"), os.O_RDWR | os.O_CREAT)
        folder = os.open(directory, os.O_RDONLY)
        os.pwrite(block, bytes(BLOCK), 0)
        os.fsync(block)

        def overwrite(number):
            os.pwrite(block, bytes([number]) * BLOCK, 0)
            os.fdatasync(block)

        def create(number):
            os.close(os.open(os.path.join(directory, str(number)), os.O_CREAT))
            os.fsync(folder)

        print("the disk, ms, median (min-max): fdatasync of a block that was there "
              f"{timed(overwrite)}, fsync of a directory with a new name {timed(create)}\n")
        os.close(block)
        os.close(folder)


def main():
    options = arguments()
    commands = {"sluice": measure.sluice_command(options.sluice),
                "etcd": measure.etcd_command(options.etcd or measure.built_etcd())}
    print_floor()
    times = {name: [] for name in commands}
    for _ in range(options.rounds):
        for name, command in commands.items():
            times[name].append(two_starts(name, command))
    count = not options.no_syncs and shutil.which("strace")
    rows = []
    for which, label in enumerate(["empty directory", "second start"]):
        for name, command in commands.items():
            run = [both[which][0] for both in times[name]]
            cpu = statistics.median(both[which][1] for both in times[name])
            row = [label, name, f"{statistics.median(run):.0f}", f"{min(run):.0f}",
                   f"{max(run):.0f}", f"{cpu:.0f}"]
            if which == 0:
                memory, ticks = idle(name, command)
                row += [syncs_before_ready(name, command) if count else "-",
                        f"{memory:.1f}", str(ticks)]
            else:
                row += ["", "", ""]
            rows.append(row)
    measure.print_table(["start on", "server", "median ms", "min ms", "max ms", "CPU ms",
                         "syncs before it",
                         "RSS MB idle", f"CPU ticks in {IDLE_SECONDS} idle s"], rows)


if __name__ == "__main__":
    main()
