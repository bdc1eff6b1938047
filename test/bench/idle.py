#!/usr/bin/env python3
"""What an idle connection costs the server in memory: Sluice against a real etcd.

10,000 HTTP/2 connections make one unary call each and then do nothing. The figures are growth of
resident memory (RSS) per connection, the kernel's sockets not counted: "each" over all connections,
"further" over the second half of them, without what a server sets up once.
"""
import json
import os
import subprocess

import measure


def arguments():
    parser = measure.parser(__doc__)
    parser.add_argument("--sluice", default=os.path.join(measure.ROOT, "build/release/sluice"))
    parser.add_argument("--etcd", help="an etcd (default: the one that test/etcd/build.sh makes)")
    parser.add_argument("--connections", type=int, default=10_000)
    return parser.parse_args()


def run(options, server):
    command = [options.sluice, "bench", "idle", "--endpoint", server.endpoint, "--json",
               "--connections", str(options.connections), "--server-pid", str(server.process.pid)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise SystemExit(f"{server.name}: {' '.join(command)}\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def main():
    options = arguments()
    commands = {"sluice": measure.sluice_command(options.sluice),
                "etcd": measure.etcd_command(options.etcd or measure.built_etcd())}
    rows = []
    for name, command in commands.items():
        server = measure.Server(name, command)
        try:
            result = run(options, server)
        finally:
            server.stop()
        rows.append([str(options.connections), name, f"{result['rss_before_bytes'] / 1e6:.1f}",
                     f"{result['rss_half_bytes'] / 1e6:.1f}",
                     f"{result['rss_all_bytes'] / 1e6:.1f}", f"{result['bytes_each']:.0f}",
                     f"{result['bytes_each_further']:.0f}"])
    measure.print_table(["connections", "server", "RSS MB before", "with half", "with all",
                         "bytes each", "bytes each further"], rows)


if __name__ == "__main__":
    main()
