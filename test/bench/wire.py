#!/usr/bin/env python3
"""An empty unary call (grpc.health.v1.Health/Check): Sluice against grpc-go and grpc++.

The peers are the smallest servers that those libraries can make. Every load runs against one server
after the other, in each round; the table has the median of the rounds.
"""
import os
import subprocess
import sys

import measure

LOADS = {"1 connection x 1 call": (1, 1), "100 connections x 1": (100, 1),
         "100 connections x 10": (100, 10)}


def arguments():
    parser = measure.parser(__doc__)
    parser.add_argument("--sluice", default=os.path.join(measure.ROOT, "build/release/sluice"),
                        help="the server, and the loader unless --loader says otherwise")
    parser.add_argument("--loader", help="the program that has the bench command")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PROGRAM",
                        help="another server; it is started as PROGRAM ADDRESS:PORT "
                             "(default: those that test/peers/build.sh makes)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--duration", type=float, default=5, help="seconds of each run")
    parser.add_argument("--warmup", type=float, default=1, help="seconds before each run")
    parser.add_argument("--pin", action="store_true",
                        help="server on processor 0, loader on processor 1")
    return parser.parse_args()


def peers(options):
    if options.peer:
        return dict(peer.split("=", 1) for peer in options.peer)
    build = os.path.join(measure.ROOT, "test/peers/build.sh")
    if not os.path.exists(build):
        return {}
    out = os.path.join(measure.ROOT, "build/peers")
    subprocess.run([build, out], check=True)
    return {name: os.path.join(out, name) for name in ("grpc-go", "grpc-cpp")
            if os.path.exists(os.path.join(out, name))}


def peer_command(program):
    return lambda port, _peer_port, _directory: [program, f"127.0.0.1:{port}"]


def main():
    options = arguments()
    server_cpu, loader_cpu = (0, 1) if options.pin else (None, None)
    commands = {"sluice": measure.sluice_command(options.sluice)}
    commands.update((name, peer_command(program)) for name, program in peers(options).items())
    runs = {}
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
        for name, command in commands.items():
            server = measure.Server(name, command, server_cpu)
            try:
                for load, (connections, streams) in LOADS.items():
                    flags = ["empty", "--connections", str(connections),
                             "--clients", str(connections * streams)]
                    runs.setdefault((load, name), []).append(
                        measure.load(options.loader or options.sluice, server, flags,
                                     options.duration, options.warmup, loader_cpu))
            finally:
                server.stop()
    rows = []
    for load in LOADS:
        ours = measure.median(runs[load, "sluice"])["server_cpu_us"]
        for name in commands:
            result = measure.median(runs[load, name])
            rows.append([load, name, f"{result['rate']:.0f}",
                         measure.milliseconds(result["p50_us"]),
                         measure.milliseconds(result["p99_us"]),
                         f"{result['server_cpu_us']:.2f}",
                         f"{result['server_cpu_us'] / ours:.1f}" if ours else "-",
                         f"{result['loader_cpu_us']:.2f}"])
    print(f"{options.rounds} rounds of {options.duration:g} s, {os.cpu_count()} processors, "
          f"latencies in ms, CPU in us per call\n")
    measure.print_table(["load", "server", "calls/s", "p50", "p99", "server CPU", "x sluice",
                         "loader CPU"], rows)


if __name__ == "__main__":
    main()
