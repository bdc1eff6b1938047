// What `sluice bench` is asked to do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace sluice::bench {

enum class WorkloadKind : std::uint8_t {
    kPut,    // one key, one value
    kGet,    // one key that exists
    kRange,  // range_keys neighbouring keys
    kTxn,    // compare-and-swap on a key that only this client writes
    kWatch,  // puts, each seen by every watcher
    kEmpty,  // an empty message, answered by an empty (or very short) one
};

enum class KeyOrder : std::uint8_t { kUniform, kSequential, kZipfian };

std::string_view workload_name(WorkloadKind kind) noexcept;
std::optional<WorkloadKind> parse_workload(std::string_view name) noexcept;
std::string_view key_order_name(KeyOrder order) noexcept;
std::optional<KeyOrder> parse_key_order(std::string_view name) noexcept;

struct Options {
    WorkloadKind workload = WorkloadKind::kPut;
    std::string endpoint = "127.0.0.1:2379";  // host:port, a numeric host

    unsigned threads = 1;
    unsigned connections = 1;
    unsigned clients = 1;  // calls in flight, over all connections

    std::uint64_t total = 0;  // measured calls; 0: run for duration_ns
    TimeNs duration_ns = 10 * kSecond;
    TimeNs warmup_ns = 1 * kSecond;
    TimeNs call_timeout_ns = 0;  // sent as grpc-timeout; 0: none

    std::string key_prefix = "bench/";
    unsigned key_bytes = 16;  // with the prefix
    unsigned value_bytes = 256;
    std::uint64_t keys = 10'000;
    KeyOrder key_order = KeyOrder::kUniform;
    bool prefill = true;  // put all keys first, where the workload reads them

    unsigned range_keys = 100;
    bool serializable = false;
    unsigned watchers = 1'000;
    unsigned watch_streams = 0;                           // 0: one a connection
    std::string method = "/grpc.health.v1.Health/Check";  // of kEmpty

    int server_pid = 0;  // of a server on this machine: its CPU and memory are reported
    bool json = false;
    std::uint64_t seed = 1;
    std::uint64_t run_id = 0;  // goes into names that no earlier run may have used
};

}  // namespace sluice::bench
