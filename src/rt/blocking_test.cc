#include "rt/blocking.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <fstream>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "rt/runtime.h"
#include "rt/timer.h"

namespace sluice::rt {
namespace {

TEST(Blocking, RunsOnAnotherThreadAndReturnsItsResult) {
    Runtime runtime({.workers = 1});
    runtime.run([&] {
        const std::thread::id worker = std::this_thread::get_id();
        std::thread::id ran_on;
        const std::string text = blocking([&] {
            ran_on = std::this_thread::get_id();
            EXPECT_EQ(current(), nullptr);
            return std::string("result");
        });
        EXPECT_EQ(text, "result");
        EXPECT_NE(ran_on, worker);
        auto moved = blocking([] { return std::make_unique<int>(5); });
        EXPECT_EQ(*moved, 5);
        bool ran = false;
        blocking([&] { ran = true; });
        EXPECT_TRUE(ran);
    });
    EXPECT_EQ(runtime.blocking_pool().stats().jobs, 3U);
}

TEST(Blocking, RethrowsInTheCaller) {
    Runtime runtime({.workers = 1});
    runtime.run([] {
        std::string caught;
        try {
            blocking([]() -> int { throw std::runtime_error("from the pool"); });
        } catch (const std::runtime_error& error) {
            caught = error.what();
        }
        EXPECT_EQ(caught, "from the pool");
        EXPECT_THROW(blocking([] { throw std::logic_error("void"); }), std::logic_error);
    });
}

TEST(Blocking, OtherFibersRunMeanwhile) {
    Runtime runtime({.workers = 1});
    std::atomic<bool> other_ran = false;
    runtime.run([&] {
        spawn([&] { other_ran = true; });
        blocking([&] {
            while (!other_ran) std::this_thread::yield();
        });
    });
    EXPECT_TRUE(other_ran);
}

TEST(Blocking, ThreadsAreBoundedAndGrowOnlyByNeed) {
    Runtime runtime({.workers = 2, .blocking_threads_max = 3});
    runtime.run([&] {
        for (int i = 0; i < 10; ++i) blocking([] {});
    });
    EXPECT_EQ(runtime.blocking_pool().stats().threads_most, 1U);  // one after the other

    std::atomic<int> running = 0;
    std::atomic<int> most = 0;
    runtime.run([&] {
        for (int i = 0; i < 12; ++i) {
            spawn([&] {
                blocking([&] {
                    const int now = ++running;
                    int seen = most;
                    while (now > seen && !most.compare_exchange_weak(seen, now)) {
                    }
                    while (most < 3) std::this_thread::yield();  // until all three run at once
                    --running;
                });
            });
        }
    });
    EXPECT_EQ(most, 3);
    EXPECT_EQ(runtime.blocking_pool().stats().threads_most, 3U);
    EXPECT_EQ(runtime.blocking_pool().stats().jobs, 22U);
}

// The thread that ends the last job wakes a worker whose poller the next run() replaces.
TEST(Blocking, RunAgainAtOnce) {
    Runtime runtime({.workers = 2, .blocking_threads_max = 3});
    constexpr int kRuns = 300;
    for (int i = 0; i < kRuns; ++i) {
        runtime.run([] {
            spawn([] { blocking([] {}); });
            blocking([] {});
        });
    }
    EXPECT_EQ(runtime.blocking_pool().stats().jobs, 2U * kRuns);
}

TEST(Blocking, IdleThreadsEnd) {
    Runtime runtime({.workers = 1, .blocking_thread_idle_ns = kMillisecond});
    runtime.run([&] {
        blocking([] {});
        while (runtime.blocking_pool().stats().threads > 0) sleep_for(kMillisecond);
        blocking([] {});  // a new one starts
    });
    EXPECT_EQ(runtime.blocking_pool().stats().threads_started, 2U);
}

// Three jobs that wait for each other, again and again: none may stay in the queue while a thread
// is idle, nor be forgotten by one that ends.
TEST(Blocking, AJobNeverWaitsWhileAThreadIsIdle) {
    Runtime runtime(
        {.workers = 2, .blocking_threads_max = 3, .blocking_thread_idle_ns = kMicrosecond});
    constexpr int kRounds = 2'000;  // fewer on a loaded machine, where each takes time slices
    constexpr int kOver = 4;
    const TimeNs end_ns = runtime.clock().now_ns() + 5 * kSecond;
    std::array<std::atomic<int>, kRounds> arrived{};
    std::atomic<unsigned> rounds = 0;
    runtime.run([&] {
        for (int fiber = 0; fiber < 3; ++fiber) {
            spawn([&] {
                bool last = false;
                for (int round = 0; round < kRounds && !last; ++round) {
                    std::atomic<int>& here = arrived[round];
                    blocking([&] {
                        if (here.fetch_add(1) == 2) {
                            ++rounds;
                            here = runtime.clock().now_ns() < end_ns ? kOver : kOver + 1;
                            here.notify_all();
                        }
                        for (int seen = here; seen < kOver; seen = here) here.wait(seen);
                        last = here > kOver;
                    });
                }
            });
        }
    });
    EXPECT_GT(rounds, 0U);
    EXPECT_EQ(runtime.blocking_pool().stats().jobs, 3U * rounds);
    EXPECT_EQ(runtime.blocking_pool().stats().pending, 0U);
}

// Each job wakes one thread, also when it has been taken before that one is up.
TEST(Blocking, AFlowOfJobsLetsIdleThreadsSleep) {
    Runtime runtime({.workers = 1, .blocking_threads_max = 3});
    constexpr unsigned kJobs = 2'000;
    std::uint64_t summons = 0;
    runtime.run([&] {
        std::atomic<int> running = 0;
        int done = 0;
        for (int i = 0; i < 3; ++i) {
            spawn([&] {
                blocking([&] {
                    ++running;
                    while (running < 3) std::this_thread::yield();
                });
                ++done;
            });
        }
        while (done < 3) sleep_for(kMillisecond);
        const std::uint64_t before = runtime.blocking_pool().stats().summons;
        for (unsigned i = 0; i < kJobs; ++i) blocking([] {});
        summons = runtime.blocking_pool().stats().summons - before;
    });
    EXPECT_EQ(runtime.blocking_pool().stats().jobs, 3 + kJobs);
    EXPECT_GT(summons, 0U);
    EXPECT_LE(summons, kJobs);
}

int nice_here() {
    return ::getpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()));
}

// Does this thread of the process wait for something?
bool sleeps(pid_t thread) {
    std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/stat");
    std::string line;
    std::getline(file, line);  // "17 (blocking) S ..."
    return line.contains(") S ");
}

TEST(Blocking, ManyThreadsWeighLessThanFewOnes) {
    const int base = std::max(0, nice_here());  // what is better than 0 a worker does not pass on
    const auto expected = [base](int nice) { return std::min(19, base + nice); };
    Runtime runtime({.workers = 1, .blocking_threads_max = 6});
    std::atomic<int> running = 0;
    std::mutex mutex;
    std::multiset<int> nices;
    std::vector<pid_t> threads;
    int done = 0;
    int alone = -1;
    runtime.run([&] {
        for (int i = 0; i < 6; ++i) {
            spawn([&] {
                blocking([&] {
                    ++running;
                    while (running < 6) std::this_thread::yield();
                    const std::lock_guard lock(mutex);
                    nices.insert(nice_here());
                    threads.push_back(::gettid());
                });
                ++done;
            });
        }
        while (done < 6 || !std::ranges::all_of(threads, sleeps)) sleep_for(kMillisecond);
        alone = blocking(nice_here);
    });
    EXPECT_EQ(nices, (std::multiset<int>{expected(10), expected(15), expected(15), expected(15),
                                         expected(19), expected(19)}));
    EXPECT_EQ(alone, expected(10));
}

}  // namespace
}  // namespace sluice::rt
