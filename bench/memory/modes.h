// The experiments of bench/memory; each prints one JSON object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "rt/stack_class.h"

namespace memory_bench {

void park_fibers(std::size_t count, sluice::rt::StackClass stack);
void hold_sockets(std::size_t count, const std::string& poller);
void outgrow_limit(std::size_t bytes, bool limited);

// Of this process, in bytes.
struct Usage {
    std::int64_t resident = 0;
    std::int64_t page_tables = 0;   // the kernel's, for this address space
    std::int64_t kernel_slabs = 0;  // the whole machine's: objects of sockets, files, polls
};
Usage usage();

// Waits until `resident` is at most `bytes`, or for ten seconds. Returns how long it took, in
// milliseconds; -1: it has not come down. On a thread that is no worker.
std::int64_t wait_until_resident(std::int64_t bytes);

}  // namespace memory_bench
