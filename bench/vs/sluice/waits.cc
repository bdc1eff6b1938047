// What fibers wait for, and what a request takes and gives back.
#include <array>
#include <vector>

#include "base/check.h"
#include "lines.h"
#include "rt/runtime.h"
#include "rt/timer.h"
#include "sync/context.h"
#include "sync/group.h"
#include "sync/mutex.h"
#include "sync/object_pool.h"
#include "sync/select.h"

namespace vs {
namespace {

namespace rt = sluice::rt;
namespace sync = sluice::sync;

constexpr sluice::TimeNs kHourNs = 3'600 * sluice::kSecond;

}  // namespace

void run_unbuffered(const Options& options) {
    measure(options, [](std::int64_t n) {
        sync::Channel<std::int64_t> there;
        sync::Channel<std::int64_t> back;
        sync::Group group(nullptr);
        group.spawn([&] {
            while (auto message = there.receive()) back.send(*message);
        });
        for (std::int64_t i = 0; i < n; ++i) {
            there.send(i);
            SLUICE_CHECK(back.receive() == i);
        }
        there.close();
        (void)group.wait();
    });
}

void run_buffered(const Options& options) {
    measure(options, [](std::int64_t n) {
        sync::Channel<std::int64_t> channel(1024);
        sync::Group group(nullptr);
        group.spawn([&] {
            for (std::int64_t i = 0; i < n; ++i) channel.send(i);
            channel.close();
        });
        std::int64_t received = 0;
        while (channel.receive()) ++received;
        SLUICE_CHECK(received == n);
        (void)group.wait();
    });
}

void run_select(const Options& options) {
    measure(options, [](std::int64_t n) {
        sync::Channel<std::int64_t> there;
        sync::Channel<std::int64_t> back;
        sync::Channel<std::int64_t> never;
        sync::Group group(nullptr);
        group.spawn([&] {
            std::optional<std::int64_t> message;
            std::optional<std::int64_t> none;
            for (;;) {
                const sync::Selected got = sync::select(
                    {sync::receive_case(there, message), sync::receive_case(never, none)});
                if (got.closed) return;
                back.send(*message);
            }
        });
        std::optional<std::int64_t> message;
        std::optional<std::int64_t> none;
        for (std::int64_t i = 0; i < n; ++i) {
            there.send(i);
            const sync::Selected got =
                sync::select({sync::receive_case(back, message), sync::receive_case(never, none)});
            SLUICE_CHECK(got.index == 0 && message == i);
        }
        there.close();
        (void)group.wait();
    });
}

void run_mutex(const Options& options) {
    measure(options, [](std::int64_t n) {
        sync::Mutex mutex;
        for (std::int64_t i = 0; i < n; ++i) {
            const sync::MutexGuard guard(mutex);
        }
    });
}

void run_mutex_contended(const Options& options) {
    measure(options, [](std::int64_t n) {
        constexpr int kFibers = 8;
        sync::Mutex mutex;
        std::int64_t count = 0;
        sync::Group group(nullptr);
        for (int f = 0; f < kFibers; ++f) {
            group.spawn([&] {
                for (std::int64_t i = 0; i < n / kFibers; ++i) {
                    const sync::MutexGuard guard(mutex);
                    ++count;
                }
            });
        }
        (void)group.wait();
        SLUICE_CHECK(count == n / kFibers * kFibers);
    });
}

void run_timer(const Options& options) {
    constexpr std::size_t kOthers = 10'000;
    const sluice::Clock& clock = rt::Runtime::current().clock();
    std::vector<rt::Timer> others(kOthers);
    for (rt::Timer& other : others) other.arm(clock.now_ns() + kHourNs, [](rt::Timer&) {});
    measure(options, [&](std::int64_t n) {
        for (std::int64_t i = 0; i < n; ++i) {
            rt::Timer timer;
            timer.arm(clock.now_ns() + kHourNs, [](rt::Timer&) {});
            SLUICE_CHECK(timer.cancel());
        }
    });
    for (rt::Timer& other : others) SLUICE_CHECK(other.cancel());
}

void run_context(const Options& options) {
    const sync::Context root(nullptr);
    measure(options, [&](std::int64_t n) {
        for (std::int64_t i = 0; i < n; ++i) {
            sync::Context child(&root, sync::deadline_after(kHourNs));
            child.cancel();
        }
    });
}

void run_pool(const Options& options) {
    using Scratch = std::array<std::byte, 16 << 10>;
    sync::ObjectPool<Scratch> scratches(rt::Runtime::current());
    measure(options, [&](std::int64_t n) {
        for (std::int64_t i = 0; i < n; ++i) {
            const auto scratch = scratches.get();
            scratch->front() = std::byte{1};
        }
    });
}

}  // namespace vs
