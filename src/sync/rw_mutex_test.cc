#include "sync/rw_mutex.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <string>

#include "rt/runtime.h"
#include "sync/group.h"
#include "sync/run_testing.h"

namespace sluice::sync {
namespace {

TEST(RwMutex, ReadersTogetherWritersAlone) {
    run_on(3, [] {
        RwMutex mutex;
        std::atomic<int> readers{0};
        std::atomic<int> writers{0};
        std::int64_t a = 0;  // plain: guarded by the mutex, for TSan
        std::int64_t b = 0;
        Group group(nullptr);
        for (int f = 0; f < 24; ++f) {
            group.spawn([&, f] {
                for (int i = 0; i < 300; ++i) {
                    if ((f + i) % 6 == 0) {
                        WriteGuard guard(mutex);
                        EXPECT_EQ(writers.fetch_add(1), 0);
                        EXPECT_EQ(readers.load(), 0);
                        ++a;
                        if (i % 20 == 0) rt::yield();  // held across a suspension
                        ++b;
                        writers.fetch_sub(1);
                    } else {
                        ReadGuard guard(mutex);
                        readers.fetch_add(1);
                        EXPECT_EQ(writers.load(), 0);
                        EXPECT_EQ(a, b);
                        if (i % 20 == 0) rt::yield();
                        readers.fetch_sub(1);
                    }
                }
            });
        }
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_EQ(a, 24 * 300 / 6);
    });
}

TEST(RwMutex, TryFormsTakeOnlyWhatIsFree) {
    run_on(1, []() SLUICE_NO_THREAD_SAFETY_ANALYSIS {
        RwMutex mutex;
        EXPECT_TRUE(mutex.try_lock_shared());
        EXPECT_TRUE(mutex.try_lock_shared());
        EXPECT_FALSE(mutex.try_lock());
        mutex.unlock_shared();
        mutex.unlock_shared();
        EXPECT_TRUE(mutex.try_lock());
        EXPECT_FALSE(mutex.try_lock());
        EXPECT_FALSE(mutex.try_lock_shared());
        mutex.unlock();
    });
}

// Readers that always overlap would keep a writer out for ever if they could pass it.
TEST(RwMutex, AWriterIsNotStarvedByOverlappingReaders) {
    run_simulated(7, []() SLUICE_NO_THREAD_SAFETY_ANALYSIS {
        RwMutex mutex;
        bool written = false;
        Group group(nullptr);
        mutex.lock_shared();
        group.spawn([&] {
            WriteGuard guard(mutex);
            written = true;
        });
        rt::sleep_for(kMillisecond);  // the writer waits
        EXPECT_FALSE(mutex.try_lock_shared());
        int saw_write = 0;
        for (int r = 0; r < 10; ++r) {
            group.spawn([&] {
                ReadGuard guard(mutex);
                saw_write += written ? 1 : 0;
            });
        }
        rt::sleep_for(kMillisecond);
        EXPECT_FALSE(written);
        mutex.unlock_shared();
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_EQ(saw_write, 10);
    });
}

// And writers in a row do not starve readers: those who wait enter when the first writer leaves.
TEST(RwMutex, ServesInOrderOfArrival) {
    run_simulated(8, []() SLUICE_NO_THREAD_SAFETY_ANALYSIS {
        RwMutex mutex;
        std::string order;
        Group group(nullptr);
        const auto queue = [&](char kind) {
            group.spawn([&, kind]() SLUICE_NO_THREAD_SAFETY_ANALYSIS {
                if (kind == 'w') mutex.lock();
                if (kind == 'r') mutex.lock_shared();
                order += kind;
                rt::sleep_for(kMillisecond);
                order += kind == 'w' ? 'W' : 'R';
                if (kind == 'w') mutex.unlock();
                if (kind == 'r') mutex.unlock_shared();
            });
            rt::sleep_for(kMicrosecond);
        };
        mutex.lock();
        for (const char kind : std::string("wrrwr")) queue(kind);
        mutex.unlock();
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_EQ(order, "wWrrRRwWrR");
    });
}

// A writer that gives up lets the readers behind it in at once.
TEST(RwMutex, ACancelledWriterLetsReadersPass) {
    run_simulated(9, []() SLUICE_NO_THREAD_SAFETY_ANALYSIS {
        RwMutex mutex;
        bool read = false;
        Group group(nullptr);
        mutex.lock_shared();
        group.spawn([&] {
            Context context(nullptr, deadline_after(kMillisecond));
            EXPECT_EQ(mutex.lock(context).error().code(), Code::kDeadlineExceeded);
        });
        rt::sleep_for(kMicrosecond);
        group.spawn([&] {
            ReadGuard guard(mutex);
            read = true;
        });
        rt::sleep_for(kMicrosecond);
        EXPECT_FALSE(read);
        rt::sleep_for(kMillisecond);
        EXPECT_TRUE(read);
        mutex.unlock_shared();
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_TRUE(mutex.try_lock());
        mutex.unlock();
    });
}

// Random readers and writers with deadlines: exclusion holds at every step, and at the end the
// mutex is free with nobody in its queue.
TEST(RwMutex, SimulatedWithDeadlines) {
    for_each_seed(300, [](std::uint64_t seed) {
        run_simulated(seed, [seed]() SLUICE_NO_THREAD_SAFETY_ANALYSIS {
            RwMutex mutex;
            int readers = 0;
            int writers = 0;
            int held = 0;
            Group group(nullptr);
            for (std::uint64_t f = 0; f < 8; ++f) {
                group.spawn([&, f]() SLUICE_NO_THREAD_SAFETY_ANALYSIS {
                    std::mt19937_64 random(seed * 100 + f);
                    for (int i = 0; i < 20; ++i) {
                        Context context(nullptr,
                                        random() % 2 == 0
                                            ? deadline_after(static_cast<TimeNs>(random() % 100))
                                            : kNever);
                        const bool writes = random() % 3 == 0;
                        if (!(writes ? mutex.lock(context) : mutex.lock_shared(context))) continue;
                        ++(writes ? writers : readers);
                        EXPECT_TRUE(writers == 0 || (writers == 1 && readers == 0));
                        rt::sleep_for(static_cast<TimeNs>(random() % 30));
                        EXPECT_TRUE(writers == 0 || (writers == 1 && readers == 0));
                        --(writes ? writers : readers);
                        ++held;
                        writes ? mutex.unlock() : mutex.unlock_shared();
                    }
                });
            }
            EXPECT_TRUE(group.wait().has_value());
            EXPECT_GE(held, 20);
            EXPECT_TRUE(mutex.try_lock());
            mutex.unlock();
        });
    });
}

}  // namespace
}  // namespace sluice::sync
