// What one client asks, call after call, and whether the answer is right.
//
// One object a client, used on its loop's thread only. check() looks at every answer: a load
// generator that does not read what it gets measures how fast errors are.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "bench/options.h"

namespace sluice::bench {

class Workload {
  public:
    virtual ~Workload() = default;
    // Appends the next request, a protobuf message.
    virtual void build(std::string& out) = 0;
    // "" if the response is what the request must get, else what is wrong with it.
    virtual std::string check(std::string_view response) = 0;
};

// The full gRPC method of a workload's calls: "/etcdserverpb.KV/Put", ...
std::string_view method_of(const Options& options) noexcept;

// The workload of client number `client`. kWatch has its own (bench/watch.h). `options` outlives
// it.
std::unique_ptr<Workload> make_workload(const Options& options, unsigned client);

// Puts key number next_key++: clients that share the counter put every key once.
std::unique_ptr<Workload> make_prefill(const Options& options, unsigned client,
                                       std::atomic<std::uint64_t>& next_key);

}  // namespace sluice::bench
