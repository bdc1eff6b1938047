"""What the benches share: programs built, servers on free ports with temporary data, the loader,
rounds, medians, tables.

Every server runs on this machine and on the same disk (build/bench), with fsync on. The loader is
`sluice bench`; it reads the server's CPU time and memory from /proc over exactly the measured time.
"""
import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
SCRATCH = os.path.join(ROOT, "build", "bench")
START_SECONDS_MAX = 20


def parser(doc):
    """A bench's arguments; its --help begins with its docstring."""
    return argparse.ArgumentParser(description=doc,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)


def built(target):
    """A program of bench/CMakeLists.txt, with the release preset. Configured anew: a package that
    it needs may be newer than the build folder."""
    for command in (["cmake", "--preset", "release"],
                    ["cmake", "--build", "--preset", "release", "--target", target]):
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)}:\n{done.stdout}")
    return os.path.join(ROOT, "build/release/bench", target)


def built_go(folder):
    """The Go program of a folder; None, and a line that says so, where Go is not installed."""
    if not shutil.which("go"):
        print(f"no Go beside it ({folder}): go is not installed")
        return None
    program = os.path.join(ROOT, "build/vs", folder.replace("/", "_"))
    subprocess.run(["go", "build", "-trimpath", "-o", program, "."], check=True,
                   cwd=os.path.join(ROOT, folder), env={**os.environ, "CGO_ENABLED": "0"})
    return program


def run_json(*command):
    """The JSON that a program prints."""
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def in_turn(rounds, keys, run):
    """{key: [run(key) of each round]}. A round runs them all, so that what else the machine does
    weighs on all."""
    results = {key: [] for key in keys}
    for _ in range(rounds):
        for key, runs in results.items():
            runs.append(run(key))
    return results


def ratio(ours, theirs, field):
    """The median of the rounds' ratios."""
    return statistics.median(a[field] / b[field] for a, b in zip(ours, theirs))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server process with a data directory of its own; gone, with its data, at the end."""

    def __init__(self, name, command_for, cpu=None):
        """command_for(port, peer_port, directory) is the command line."""
        self.name = name
        os.makedirs(SCRATCH, exist_ok=True)
        self.directory = tempfile.mkdtemp(prefix=name + "-", dir=SCRATCH)
        self.port = free_port()
        self.endpoint = f"127.0.0.1:{self.port}"
        self.log = open(os.path.join(self.directory, "log"), "wb")
        command = command_for(self.port, free_port(), self.directory)
        if cpu is not None:
            command = ["taskset", "-c", str(cpu)] + command
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        self._wait_until_it_listens()

    def _wait_until_it_listens(self):
        give_up = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > give_up:
                    tail = open(self.log.name, errors="replace").read()[-2000:]
                    self.stop()
                    raise SystemExit(f"{self.name} does not listen on {self.endpoint}:\n{tail}")
                time.sleep(0.02)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def sluice_command(binary):
    return lambda port, _, directory: [
        binary, "serve", "--data-dir", os.path.join(directory, "data"), "--log-level", "warn",
        "--listen-client-urls", f"http://127.0.0.1:{port}",
        "--advertise-client-urls", f"http://127.0.0.1:{port}"]


def etcd_command(binary):
    def command(port, peer_port, directory):
        client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
        return [binary, "--data-dir", os.path.join(directory, "data"), "--log-level", "warn",
                "--listen-client-urls", client, "--advertise-client-urls", client,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", f"default={peer}"]
    return command


def built_etcd():
    """The reference etcd, built if it is not there."""
    out = os.path.join(ROOT, "build/test/etcd")
    subprocess.run([os.path.join(ROOT, "test/etcd/build.sh"), out], check=True)
    return os.path.join(out, "etcd")


def load(loader, server, arguments, duration, warmup, cpu=None):
    """One run of the loader; its JSON as a dictionary. An error ends the bench."""
    command = [loader, "bench", *arguments, "--endpoint", server.endpoint, "--json",
               "--server-pid", str(server.process.pid), "--duration", str(duration),
               "--warmup", str(warmup)]
    if cpu is not None:
        command = ["taskset", "-c", str(cpu)] + command
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise SystemExit(f"{server.name}: {' '.join(command)}\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def median(runs):
    """The median of every number over the rounds; the rest from the first."""
    result = dict(runs[0])
    for key, value in runs[0].items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            result[key] = statistics.median(run[key] for run in runs)
    return result


def milliseconds(microseconds):
    return f"{microseconds / 1000:.2f}"


def print_table(header, rows, names=2):
    """A table in Markdown: so many columns of names, then numbers."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    rule = ["-" * w if i < names else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    for line in [header, rule, *rows]:
        cells = [cell.ljust(w) if i < names else cell.rjust(w)
                 for i, (cell, w) in enumerate(zip(line, widths))]
        print("| " + " | ".join(cells) + " |")
