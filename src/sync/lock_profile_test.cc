// The lock profile: which waits are in it, how long they are and whom they name. Time is simulated,
// so the figures are exact.
#include "rt/lock_profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/limits.h"
#include "rt/backtrace.h"
#include "rt/runtime.h"
#include "rt/timer.h"
#include "sync/group.h"
#include "sync/mutex.h"
#include "sync/run_testing.h"
#include "sync/rw_mutex.h"

namespace sluice::sync {
namespace {

using testing::HasSubstr;

std::string symbols(const rt::LockParty& party) {
    std::string text;
    for (const std::uintptr_t frame : party.frames) {
        if (frame != 0) text += rt::symbol_at(frame) + "\n";
    }
    return text;
}

rt::LockReport report() {
    return rt::Runtime::current().lock_profile();
}

// Functions with names of their own; the guard's end is their last act, as it is in real ones.
[[gnu::noinline]] void hold_long(Mutex& mutex, TimeNs time_ns) {
    MutexGuard guard(mutex);
    rt::sleep_for(time_ns);
}
[[gnu::noinline]] void want_it(Mutex& mutex) {
    MutexGuard guard(mutex);
}
[[gnu::noinline]] void write_long(RwMutex& mutex, TimeNs time_ns) {
    WriteGuard guard(mutex);
    rt::sleep_for(time_ns);
}
[[gnu::noinline]] void read_it(RwMutex& mutex) {
    ReadGuard guard(mutex);
}

TEST(LockProfile, NamesTheLockTheWaitersAndTheHolder) {
    run_simulated(1, [] {
        Mutex mutex;
        Group group(nullptr);
        group.spawn([&] { hold_long(mutex, 3 * kMillisecond); }, "holder");
        rt::sleep_for(kMillisecond);
        for (int i = 0; i < 5; ++i) group.spawn([&] { want_it(mutex); }, "waiter");
        EXPECT_TRUE(group.wait().has_value());

        const rt::LockReport found = report();
        ASSERT_EQ(found.rows.size(), 1U);
        const rt::LockContention& row = found.rows[0];
        EXPECT_EQ(row.lock, &mutex);
        EXPECT_EQ(row.waits, 5U);
        EXPECT_EQ(row.long_waits, 5U);
        EXPECT_EQ(row.given_up, 0U);
        EXPECT_EQ(row.total_ns, 5 * 2 * kMillisecond);
        EXPECT_EQ(row.longest_ns, 2 * kMillisecond);
        EXPECT_EQ(row.last_ns, rt::Runtime::current().clock().now_ns());
        EXPECT_STREQ(row.waiter.name.data(), "waiter");
        EXPECT_STREQ(row.holder.name.data(), "holder");
        EXPECT_THAT(symbols(row.waiter), HasSubstr("want_it("));
        EXPECT_THAT(symbols(row.holder), HasSubstr("hold_long("));
        EXPECT_EQ(found.totals.waits, 5U);
        EXPECT_EQ(found.totals.long_waits, 5U);
        EXPECT_EQ(found.totals.total_ns, row.total_ns);
        EXPECT_EQ(found.dropped_waits, 0U);
    });
}

// The second waiter gets the lock from the first, who had it only for a moment.
TEST(LockProfile, BlamesTheLongestHolderNotTheLast) {
    run_simulated(1, [] {
        Mutex mutex;
        Group group(nullptr);
        group.spawn([&] { hold_long(mutex, 8 * kMillisecond); }, "long");
        rt::sleep_for(kMillisecond);
        group.spawn([&] { hold_long(mutex, kMillisecond); }, "short");
        rt::sleep_for(kMillisecond);
        group.spawn([&] { want_it(mutex); }, "last");
        EXPECT_TRUE(group.wait().has_value());

        const rt::LockReport found = report();
        ASSERT_EQ(found.rows.size(), 2U);
        for (const rt::LockContention& row : found.rows) {
            EXPECT_STREQ(row.holder.name.data(), "long");
            EXPECT_EQ(row.total_ns, 7 * kMillisecond);  // 1 to 8, and 2 to 9
        }
    });
}

TEST(LockProfile, DoesNotBlameWhoLetGoBeforeTheWaitBegan) {
    run_simulated(1, [] {
        Mutex mutex;
        Group group(nullptr);
        group.spawn([&] { hold_long(mutex, 8 * kMillisecond); }, "long");
        rt::sleep_for(kMillisecond);
        group.spawn([&] { hold_long(mutex, 3 * kMillisecond); }, "short");
        rt::sleep_for(8 * kMillisecond);
        group.spawn([&] { want_it(mutex); }, "last");
        EXPECT_TRUE(group.wait().has_value());

        const rt::LockReport found = report();
        ASSERT_EQ(found.rows.size(), 2U);
        EXPECT_STREQ(found.rows[1].waiter.name.data(), "last");
        EXPECT_STREQ(found.rows[1].holder.name.data(), "short");
        EXPECT_EQ(found.rows[1].total_ns, 2 * kMillisecond);  // 9 to 11
    });
}

TEST(LockProfile, CountsAWaitThatIsGivenUp) {
    run_simulated(1, [] {
        Mutex mutex;
        RwMutex rw_mutex;
        Group group(nullptr);
        group.spawn([&] { hold_long(mutex, 9 * kMillisecond); });
        group.spawn([&] { write_long(rw_mutex, 9 * kMillisecond); });
        rt::sleep_for(kMillisecond);
        Context short_of_time(nullptr, deadline_after(4 * kMillisecond));
        EXPECT_FALSE(mutex.lock(short_of_time).has_value());
        Context again(nullptr, deadline_after(kMillisecond / 10));
        EXPECT_FALSE(rw_mutex.lock_shared(again).has_value());
        EXPECT_TRUE(group.wait().has_value());

        const rt::LockReport found = report();
        ASSERT_EQ(found.rows.size(), 2U);
        EXPECT_EQ(found.rows[0].lock, &mutex);
        EXPECT_EQ(found.rows[0].given_up, 1U);
        EXPECT_EQ(found.rows[0].total_ns, 4 * kMillisecond);
        EXPECT_EQ(found.rows[0].holder.fiber, 0U);  // it had not let go
        EXPECT_EQ(found.rows[1].lock, &rw_mutex);
        EXPECT_EQ(found.rows[1].total_ns, kMillisecond / 10);
        EXPECT_EQ(found.rows[1].long_waits, 0U);
    });
}

TEST(LockProfile, CoversReadersAndWriters) {
    run_simulated(1, [] {
        RwMutex mutex;
        Group group(nullptr);
        group.spawn([&] { write_long(mutex, 2 * kMillisecond); }, "first");
        rt::sleep_for(kMillisecond);
        for (int i = 0; i < 3; ++i) group.spawn([&] { read_it(mutex); }, "reader");
        rt::sleep_for(kMillisecond / 10);  // they have queued
        group.spawn([&] { write_long(mutex, kMillisecond); }, "second");
        EXPECT_TRUE(group.wait().has_value());

        const rt::LockReport found = report();
        ASSERT_EQ(found.rows.size(), 2U);
        EXPECT_STREQ(found.rows[0].waiter.name.data(), "reader");
        EXPECT_EQ(found.rows[0].waits, 3U);
        EXPECT_EQ(found.rows[0].total_ns, 3 * kMillisecond);
        EXPECT_STREQ(found.rows[0].holder.name.data(), "first");
        EXPECT_THAT(symbols(found.rows[0].holder), HasSubstr("write_long("));
        EXPECT_THAT(symbols(found.rows[0].waiter), HasSubstr("read_it("));
        EXPECT_STREQ(found.rows[1].waiter.name.data(), "second");
        EXPECT_STREQ(found.rows[1].holder.name.data(), "first");
    });
}

TEST(LockProfile, AFreeLockLeavesNoTrace) {
    run_on(2, [] {
        Mutex mutex;
        RwMutex rw_mutex;
        for (int i = 0; i < 1'000; ++i) {
            want_it(mutex);
            read_it(rw_mutex);
            write_long(rw_mutex, 0);
        }
        EXPECT_EQ(report().totals.waits, 0U);
        EXPECT_TRUE(report().rows.empty());
    });
}

// Many more locks than rows: what costs most stays, and nothing is lost from the sums.
TEST(LockProfile, StaysBoundedAndKeepsTheWorst) {
    run_simulated(1, [] {
        constexpr std::size_t kLocks = 4 * limits::kLockProfileRows;
        std::vector<Mutex> mutexes(kLocks);
        Mutex worst;
        Group group(nullptr);
        group.spawn([&] { hold_long(worst, 10 * kSecond); });
        group.spawn([&] { want_it(worst); });
        for (Mutex& mutex : mutexes) {
            Group pair(nullptr);
            pair.spawn([&] { hold_long(mutex, kMillisecond); });
            pair.spawn([&] { hold_long(mutex, kMillisecond); });
            EXPECT_TRUE(pair.wait().has_value());
        }
        EXPECT_TRUE(group.wait().has_value());

        const rt::LockReport found = report();
        EXPECT_LE(found.rows.size(), limits::kLockProfileRows);
        EXPECT_GT(found.rows.size(), limits::kLockProfileRows / 2);
        EXPECT_EQ(found.rows[0].lock, &worst);
        std::uint64_t waits = found.dropped_waits;
        TimeNs total_ns = found.dropped_ns;
        for (const rt::LockContention& row : found.rows) {
            waits += row.waits;
            total_ns += row.total_ns;
        }
        EXPECT_EQ(waits, kLocks + 1);
        EXPECT_EQ(waits, found.totals.waits);
        EXPECT_EQ(total_ns, found.totals.total_ns);
        EXPECT_EQ(total_ns, 10 * kSecond + static_cast<TimeNs>(kLocks) * kMillisecond);
    });
}

// Workers write their own profiles while a reader joins them. Fibers may happen to run one after
// the other: then once more.
TEST(LockProfile, MayBeReadWhileAllWait) {
    run_on(3, [] {
        Mutex mutex;
        RwMutex rw_mutex;
        const auto take_turns = [&] {
            for (int i = 0; i < 300; ++i) {
                MutexGuard guard(mutex);
                rt::yield();
                ReadGuard read(rw_mutex);
                rt::yield();
            }
        };
        std::uint64_t before = 0;
        do {
            Group group(nullptr);
            for (int f = 0; f < 8; ++f) group.spawn(take_turns);
            for (int i = 0; i < 100; ++i) {
                const std::uint64_t waits = report().totals.waits;
                EXPECT_GE(waits, before);
                before = waits;
                rt::yield();
            }
            EXPECT_TRUE(group.wait().has_value());
        } while (report().totals.waits == 0);
        EXPECT_EQ(report().totals.waits, rt::Runtime::current().stats().locks.waits);
    });
}

}  // namespace
}  // namespace sluice::sync
