// A burst that fills pools and stacks beyond the process's limit, then goes on with little to do:
// how long until their memory is back? And once more with no limit and nothing to do at all.
#include <atomic>
#include <cstdio>
#include <vector>

#include "base/memory_limit.h"
#include "io/poller_factory.h"
#include "io/readiness.h"
#include "modes.h"
#include "rt/blocking.h"
#include "rt/runtime.h"
#include "rt/timer.h"
#include "sync/group.h"
#include "sync/object_pool.h"

namespace memory_bench {

using namespace sluice;  // a program, not a library

namespace {

constexpr std::size_t kObjectBytes = 256 << 10;
constexpr std::size_t kFibers = 10'000;
constexpr std::size_t kFiberBytes = 16 << 10;  // of its stack

struct Object {
    char bytes[kObjectBytes];
};

// Touches so much of the calling fiber's stack.
[[gnu::noinline]] void use_stack() {
    volatile char frame[kFiberBytes];
    for (std::size_t i = 0; i < kFiberBytes; i += 1024) frame[i] = 'x';
}

void burst(sync::ObjectPool<Object>& pool, std::size_t bytes) {
    std::vector<sync::ObjectPool<Object>::Handle> objects;
    for (std::size_t i = 0; i < bytes / kObjectBytes; ++i) {
        objects.push_back(pool.get());
        for (std::size_t at = 0; at < kObjectBytes; at += 4096) objects.back()->bytes[at] = 'x';
    }
    std::vector<io::Buffer> buffers;
    for (int i = 0; i < 256; ++i) {
        buffers.push_back(io::borrow(io::ChunkSize::kSmall));
        for (std::size_t at = 0; at < buffers.back().size(); at += 4096) {
            buffers.back().data()[at] = std::byte{1};
        }
    }
    sync::Group group(nullptr);
    for (std::size_t i = 0; i < kFibers; ++i) {
        group.spawn([] {
            use_stack();
            rt::yield();
        });
    }
    (void)group.wait();
}

}  // namespace

void outgrow_limit(std::size_t bytes, bool limited) {
    const Usage start = usage();
    std::atomic<unsigned> looks = 0;
    MemoryLimit memory(limited ? static_cast<std::size_t>(start.resident) + bytes / 4 : 0, [&] {
        ++looks;
        return resident_bytes();
    });
    const auto pollers = io::make_poller_factory("auto");
    rt::Runtime runtime(
        {.workers = 2, .make_poller = *pollers, .on_stall = [](auto&) {}, .memory = &memory});
    sync::ObjectPool<Object> pool(runtime, {.shared_max = bytes / kObjectBytes});
    Usage full;
    std::int64_t back_ms = 0;
    runtime.run([&] {
        // What it sees before the burst is what it measures the burst against.
        while (looks == 0) rt::sleep_for(kMillisecond);
        burst(pool, bytes);
        full = usage();
        std::atomic<bool> over = false;
        sync::Group group(nullptr);
        // With a limit others go on meanwhile: they take and give, of every kind.
        group.spawn([&] {
            while (limited && !over) {
                auto object = pool.get();
                const io::Buffer buffer = io::borrow(io::ChunkSize::kSmall);
                rt::sleep_for(5 * kMillisecond);
            }
        });
        rt::blocking([&] {
            back_ms = wait_until_resident(start.resident + (full.resident - start.resident) / 4);
        });
        over = true;
        (void)group.wait();
    });
    std::printf(R"({"mode": "burst", "limit": %zu, "start": %lld, "full": %lld, "left": %lld, )"
                R"("back_ms": %lld, "shrinks": %llu})"
                "\n",
                memory.bytes_max(), static_cast<long long>(start.resident),
                static_cast<long long>(full.resident), static_cast<long long>(usage().resident),
                static_cast<long long>(back_ms), static_cast<unsigned long long>(memory.shrinks()));
}

}  // namespace memory_bench
