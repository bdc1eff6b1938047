#!/usr/bin/env python3
"""Sluice against a real etcd: the same load, the same disk, fsync on; one table.

Each round starts both servers with empty data, then runs every workload against one and the other
in turn. The table has the median of the rounds. `x etcd` compares: a rate above 1, a CPU below 1
is better than etcd.
"""
import json
import os
import sys

import measure

WORKLOADS = {
    "put, 1 client": ["put"],
    "put, 100 clients": ["put", "--clients", "100", "--connections", "10"],
    "put, 1000 clients": ["put", "--clients", "1000", "--connections", "100"],
    "get, linearizable": ["get", "--clients", "100", "--connections", "10"],
    "get, serializable": ["get", "--clients", "100", "--connections", "10", "--serializable"],
    "get, 1000 clients": ["get", "--clients", "1000", "--connections", "100"],
    "range of 100": ["range", "--clients", "100", "--connections", "10"],
    "txn, compare-and-swap": ["txn", "--clients", "100", "--connections", "10"],
    "watch, 1000 watchers": ["watch", "--watchers", "1000", "--connections", "10"],
}


def arguments():
    parser = measure.parser(__doc__)
    parser.add_argument("--sluice", default=os.path.join(measure.ROOT, "build/release/sluice"),
                        help="the server, and the loader unless --loader says otherwise")
    parser.add_argument("--loader", help="the program that has the bench command")
    parser.add_argument("--etcd", help="an etcd binary (default: built by test/etcd/build.sh)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--duration", type=float, default=5, help="seconds of each run")
    parser.add_argument("--warmup", type=float, default=1, help="seconds before each run")
    parser.add_argument("--only", default="", help="workloads whose name contains this")
    parser.add_argument("--server", choices=["both", "sluice", "etcd"], default="both")
    parser.add_argument("--pin", action="store_true",
                        help="server on processor 0, loader on processor 1")
    parser.add_argument("--json", help="write all runs to this file")
    return parser.parse_args()


def reference_etcd(options):
    if options.etcd or options.server == "sluice":
        return options.etcd
    return measure.built_etcd()


def run_round(commands, workloads, options):
    """{workload: {server: result}} of one round."""
    server_cpu, loader_cpu = (0, 1) if options.pin else (None, None)
    servers = []
    try:
        for name, command in commands.items():
            servers.append(measure.Server(name, command, server_cpu))
        results = {}
        for workload, flags in workloads.items():
            results[workload] = {
                server.name: measure.load(options.loader or options.sluice, server, flags,
                                          options.duration, options.warmup, loader_cpu)
                for server in servers}
        return results
    finally:
        for server in servers:
            server.stop()


def table_row(workload, server, result, etcd):
    def ratio(key):
        return f"{result[key] / etcd[key]:.2f}" if etcd and etcd[key] else "-"
    return [workload, server, f"{result['rate']:.0f}", measure.milliseconds(result["p50_us"]),
            measure.milliseconds(result["p99_us"]), measure.milliseconds(result["p999_us"]),
            f"{result['server_cpu_us']:.2f}", f"{result['server_rss_bytes'] / 1e6:.0f}",
            ratio("rate"), ratio("server_cpu_us"), f"{result['loader_cpu_us']:.2f}"]


def main():
    options = arguments()
    etcd = reference_etcd(options)
    commands = {"sluice": measure.sluice_command(options.sluice),
                "etcd": measure.etcd_command(etcd)}
    if options.server != "both":
        commands = {options.server: commands[options.server]}
    workloads = {name: flags for name, flags in WORKLOADS.items() if options.only in name}
    rounds = []
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
        rounds.append(run_round(commands, workloads, options))
    rows = []
    for workload in workloads:
        medians = {name: measure.median([r[workload][name] for r in rounds]) for name in commands}
        rows += [table_row(workload, name, medians[name], medians.get("etcd"))
                 for name in commands]
    print(f"{options.rounds} rounds of {options.duration:g} s, {os.cpu_count()} processors, "
          f"values of 256 B, latencies in ms, CPU in us per call (watch: per event)\n")
    measure.print_table(["workload", "server", "ops/s", "p50", "p99", "p99.9", "server CPU",
                         "RSS MB", "rate x etcd", "CPU x etcd", "loader CPU"], rows)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(rounds, file, indent=1)


if __name__ == "__main__":
    main()
