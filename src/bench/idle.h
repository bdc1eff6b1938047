// `sluice bench idle`: what an idle connection costs the server in memory.
//
// Opens half of the connections, one after the other, makes one unary call on each, waits until the
// server's memory has come to rest, and reads it; then the other half, and reads it again. So the
// second half shows what a connection costs by itself, without what the server keeps once (stacks
// of fibers, pools, code pages). In the end every connection makes one more call: all were alive.
//
// Blocks the calling thread for the whole run, a few seconds and more; for the command and tests.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "bench/process_memory.h"

namespace sluice::bench {

struct IdleOptions {
    std::string endpoint = "127.0.0.1:2379";
    unsigned connections = 10'000;                        // an even number is halved exactly
    std::string method = "/grpc.health.v1.Health/Check";  // called with an empty message
    int server_pid = 0;                                   // a server on this machine
    TimeNs quiet_ns = 3 * kSecond;  // the server's memory stands still for so long
};

struct IdleReport {
    unsigned connections = 0;
    ProcessMemory before, half, all;

    // Bytes of resident memory per connection: of all, and of the second half alone.
    double bytes_each() const noexcept;
    double bytes_each_further() const noexcept;
};

Result<IdleReport> run_idle(const IdleOptions& options, const Clock& clock);

std::string idle_text(const IdleOptions& options, const IdleReport& report);
std::string idle_json(const IdleOptions& options, const IdleReport& report);

}  // namespace sluice::bench
