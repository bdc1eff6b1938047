// Fibers: switching, yielding, starting, waiting.
#include <memory>

#include "arch/raw_context.h"
#include "lines.h"
#include "rt/fiber.h"
#include "sync/event.h"
#include "sync/group.h"

namespace vs {
namespace {

namespace arch = sluice::arch;
namespace rt = sluice::rt;
namespace sync = sluice::sync;

struct Pair {
    arch::RawContext main = nullptr;
    arch::RawContext other = nullptr;
};

void bounce(void* argument) {
    auto* pair = static_cast<Pair*>(argument);
    for (;;) arch::switch_context(&pair->other, pair->main, nullptr);
}

}  // namespace

void run_switch(const Options& options) {
    constexpr std::size_t kStackBytes = 64 * 1024;
    auto stack = std::make_unique<std::byte[]>(kStackBytes);
    const auto end = reinterpret_cast<std::uintptr_t>(stack.get()) + kStackBytes;
    Pair pair;
    pair.other = arch::make_context(reinterpret_cast<void*>(end & ~std::uintptr_t{15}), &bounce);
    measure(options, [&](std::int64_t n) {
        for (std::int64_t i = 0; i < n; i += 2) {
            arch::switch_context(&pair.main, pair.other, &pair);
        }
    });
}

void run_yield(const Options& options, int fibers) {
    measure(options, [&](std::int64_t n) {
        sync::Group group(nullptr);
        for (int f = 0; f < fibers; ++f) {
            group.spawn([&] {
                for (std::int64_t i = 0; i < n / fibers; ++i) rt::yield();
            });
        }
        (void)group.wait();
    });
}

void run_spawn(const Options& options, int batch) {
    measure(options, [&](std::int64_t n) {
        sync::Group group(nullptr);
        for (std::int64_t i = 0; i < n; i += batch) {
            for (int b = 0; b < batch; ++b) group.spawn([] {});
            (void)group.wait();
        }
    });
}

void run_parked(const Options& options) {
    const std::int64_t before_bytes = rss_bytes();
    const std::int64_t wall_before_ns = read_clock_ns(CLOCK_MONOTONIC);
    const std::int64_t cpu_before_ns = read_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    sync::Event stop;
    std::atomic<std::int64_t> started{0};
    sync::Group group(nullptr);
    for (std::int64_t i = 0; i < options.count; ++i) {
        group.spawn([&] {
            started.fetch_add(1, std::memory_order_relaxed);
            (void)stop.wait();
        });
    }
    while (started.load(std::memory_order_relaxed) < options.count) rt::yield();
    print(options, options.count, read_clock_ns(CLOCK_MONOTONIC) - wall_before_ns,
          read_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_before_ns, rss_bytes() - before_bytes);
    stop.set();
    (void)group.wait();
}

}  // namespace vs
