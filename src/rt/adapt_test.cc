// The number of workers that run fibers: who stands aside hands everything on, and the monitor sets
// the number by the load.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "base/temporary_dir_testing.h"
#include "rt/baton_testing.h"
#include "rt/cpu_count.h"
#include "rt/runtime.h"
#include "rt/scheduler.h"
#include "rt/timer.h"
#include "rt/worker_load.h"

namespace sluice::rt {
namespace {

constexpr unsigned kWorkers = 4;

// The test sets the number itself.
Options by_hand() {
    Options options;
    options.workers = kWorkers;
    options.workers_min = 1;
    options.monitor = false;
    return options;
}

// Runs fn on a fiber that begins on that worker, or on who serves for it, and waits.
template <class F>
void run_on(Runtime& runtime, unsigned worker, F&& fn) {
    Baton done;
    spawn_on(runtime, worker, [&] {
        fn();
        done.post();
    });
    done.wait(WaitReason::kOther);
}

// Worker 0 alone is active from now on, and all others have noticed it.
void leave_one(Runtime& runtime) {
    runtime.scheduler().set_active_workers(1);
    for (unsigned worker = 1; worker < kWorkers; ++worker) {
        unsigned ran_on = worker;
        while (ran_on != 0) run_on(runtime, worker, [&] { ran_on = runtime.worker_index(); });
    }
}

TEST(Adapt, WhoStandsAsideRunsNoFiber) {
    Runtime runtime(by_hand());
    constexpr int kFibers = 1'000;
    int elsewhere = 0;  // on one worker: no lock
    int ran = 0;
    runtime.run([&] {
        leave_one(runtime);
        Baton done;
        const auto note = [&] {
            yield();
            elsewhere += runtime.worker_index() != 0 ? 1 : 0;
            if (++ran == kFibers) done.post();
        };
        for (int i = 0; i < kFibers; ++i) {
            if (i % 2 == 0) {
                spawn(note);
            } else {
                spawn_on(runtime, static_cast<unsigned>(i) % kWorkers, note);
            }
        }
        done.wait();
    });
    EXPECT_EQ(ran, kFibers);
    EXPECT_EQ(elsewhere, 0);
    EXPECT_EQ(runtime.stats().active_workers, 1U);
}

TEST(Adapt, ItsTimersGoOn) {
    Runtime runtime(by_hand());
    unsigned armed_on = 0;
    unsigned woken_on = kWorkers;
    bool in_time = false;  // the others stood aside before the timer was due
    runtime.run([&] {
        TimeNs nap_ns = 50 * kMillisecond;
        for (int attempt = 0; attempt < 8 && !in_time; ++attempt) {
            nap_ns *= 2;
            runtime.scheduler().set_active_workers(kWorkers);
            Baton asleep;
            Baton woken;
            const TimeNs due_ns = runtime.clock().now_ns() + nap_ns;
            // Before its first suspension a fiber is where it was started.
            spawn_on(runtime, 3, [&] {
                armed_on = runtime.worker_index();
                asleep.post();
                sleep_until(due_ns);
                woken_on = runtime.worker_index();
                woken.post();
            });
            asleep.wait();
            leave_one(runtime);
            in_time = runtime.clock().now_ns() < due_ns;
            woken.wait();
        }
    });
    EXPECT_TRUE(in_time);
    EXPECT_EQ(armed_on, 3U);
    EXPECT_EQ(woken_on, 0U);
}

TEST(Adapt, BackAgainItWorks) {
    Runtime runtime(by_hand());
    std::atomic<int> met = 0;
    runtime.run([&] {
        for (int round = 0; round < 20; ++round) {
            leave_one(runtime);
            runtime.scheduler().set_active_workers(kWorkers);
            // Each waits for all others without a suspension: as many workers are needed.
            met = 0;
            Baton done;
            std::atomic<unsigned> left = kWorkers;
            for (unsigned i = 0; i < kWorkers; ++i) {
                spawn([&] {
                    ++met;
                    while (met < static_cast<int>(kWorkers)) std::this_thread::yield();
                    if (--left == 0) done.post();
                });
            }
            done.wait();
        }
    });
    EXPECT_EQ(met, static_cast<int>(kWorkers));
    EXPECT_GE(runtime.stats().active_worker_changes, 39U);
}

// Fibers come and go on all workers while the number changes: nothing is lost.
TEST(Adapt, NothingIsLostWhileTheNumberChanges) {
    Runtime runtime(by_hand());
    constexpr int kFibers = 64;
    constexpr int kRounds = 500;
    std::atomic<int> rounds = 0;
    runtime.run([&] {
        Baton done;
        std::atomic<int> left = kFibers;
        for (int i = 0; i < kFibers; ++i) {
            spawn_on(runtime, static_cast<unsigned>(i) % kWorkers, [&, i] {
                for (int round = 0; round < kRounds; ++round) {
                    ++rounds;
                    if (i == 0) {
                        runtime.scheduler().set_active_workers(1 + static_cast<unsigned>(round) %
                                                                       kWorkers);
                    }
                    if (i % 8 == 1 && round % 50 == 0) {
                        sleep_for(kMillisecond);
                    } else {
                        yield();
                    }
                }
                if (--left == 0) done.post();
            });
        }
        done.wait();
    });
    EXPECT_EQ(rounds, kFibers * kRounds);
}

TEST(Adapt, FixedUnlessAskedFor) {
    Options options;
    options.workers = 3;
    Runtime runtime(std::move(options));
    runtime.run([&] { EXPECT_EQ(runtime.active_workers(), 3U); });
    EXPECT_EQ(runtime.stats().active_worker_changes, 0U);
}

// As for WorkerLoadMeter: a thread that runs has been on a CPU.
bool kernel_accounts_for_waits() {
    std::ifstream file("/proc/self/task/" + std::to_string(::gettid()) + "/schedstat");
    std::uint64_t running_ns = 0;
    return file >> running_ns && running_ns > 0;
}

// Fibers that block their threads get more workers than there are CPUs; when there is next to
// nothing to do, few are left. Where the kernel does not tell blocked threads from those that wait
// for a CPU, nothing changes.
TEST(Adapt, NumberFollowsTheLoad) {
    Options options;
    options.workers = usable_cpus() + 4;
    options.workers_min = 1;
    options.on_stall = [](const StallReport&) {};
    Runtime runtime(std::move(options));
    const unsigned most = runtime.workers();
    const unsigned first = runtime.active_workers();
    const bool follows = kernel_accounts_for_waits();
    constexpr std::uint64_t kLooks = 50;  // of the monitor, where nothing shall change
    std::atomic<bool> rose = false;
    bool fell = false;
    runtime.run([&] {
        const SystemClock clock;
        const TimeNs end_ns = clock.now_ns() + 60 * kSecond;  // for giving up
        std::atomic<bool> over = false;
        std::atomic<unsigned> left = 2 * most;
        Baton ended;
        for (unsigned i = 0; i < 2 * most; ++i) {
            spawn([&] {
                while (!over) {
                    std::this_thread::sleep_for(std::chrono::milliseconds(2));
                    if (runtime.active_workers() == most) rose = true;
                    if (rose || clock.now_ns() > end_ns) over = true;
                    if (!follows && runtime.stats().monitor_ticks > kLooks) over = true;
                    yield();
                }
                if (--left == 0) ended.post();
            });
        }
        ended.wait();
        while (follows && !fell && clock.now_ns() < end_ns) {
            sleep_for(10 * kMillisecond);
            fell = runtime.active_workers() == 1;
        }
    });
    EXPECT_EQ(rose, follows);
    EXPECT_EQ(fell, follows);
    if (follows) return;
    EXPECT_EQ(runtime.active_workers(), first);
    EXPECT_EQ(runtime.stats().active_worker_changes, 0U);
}

TEST(Adapt, TheMeterSaysNothingWithoutTheKernelsAccount) {
    Runtime runtime({.workers = 1, .monitor = false});
    const TemporaryDir tasks;
    runtime.run([&] {
        const int thread = runtime.scheduler().workers()[0]->thread_id();
        const std::string folder = tasks.path(std::to_string(thread));
        ASSERT_TRUE(std::filesystem::create_directory(folder));
        WorkerLoadMeter meter(runtime.scheduler(), tasks.path());
        const auto takes = [&meter] { return meter.take() && meter.take(); };
        EXPECT_FALSE(takes());  // no such file
        const auto account = [&folder](const char* text) {
            std::ofstream(folder + "/schedstat") << text;
        };
        account("0 0 0\n");  // one without figures
        EXPECT_FALSE(takes());
        account("5000 7 1\n");
        EXPECT_TRUE(takes());
    });
}

}  // namespace
}  // namespace sluice::rt
