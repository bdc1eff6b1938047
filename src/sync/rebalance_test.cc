// A consumer group through 1,000 rebalances: the classic place where a program leaks fibers,
// because each rebalance stops a tree of them that wait in many different ways. Simulated, so that
// "how many fibers are left" has an exact answer after each.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "rt/runtime.h"
#include "sync/event.h"
#include "sync/group.h"
#include "sync/mutex.h"
#include "sync/run_testing.h"
#include "sync/select.h"
#include "sync/worker_pool.h"

namespace sluice::sync {
namespace {

std::uint64_t live_fibers() {
    const rt::Stats stats = rt::Runtime::current().stats();
    return stats.fibers_started - stats.fibers_ended;
}

class Consumer {
  public:
    explicit Consumer(std::uint64_t seed)
        : random_(seed), offsets_(kPartitions), owners_(kPartitions) {}

    // One generation: from the assignment of its partitions until they are revoked.
    void generation(TimeNs lasts_ns) {
        Group group(nullptr);
        const std::size_t assigned = 1 + random_() % kPartitions;
        for (std::size_t p = 0; p < assigned; ++p) {
            group.spawn([this, &group, p] { return consume(group.context(), p); });
        }
        group.spawn([&group]() -> Status {  // heartbeats
            Event never;
            for (;;) {
                Context beat(&group.context(), deadline_after(300 * kMicrosecond));
                (void)never.wait(beat);
                SLUICE_TRY(group.context().status());
            }
        });
        rt::sleep_for(lasts_ns);
        const TimeNs revoked_ns = rt::Runtime::current().clock().now_ns();
        group.cancel("rebalance");
        const Status status = group.wait();
        EXPECT_FALSE(status.has_value());  // all of them wait for ever, so they end with an error
        // The cancel reaches every wait: nobody sits out a timer first.
        EXPECT_EQ(rt::Runtime::current().clock().now_ns(), revoked_ns);
        for (const int owner : owners_) EXPECT_EQ(owner, 0);
    }

    std::uint64_t handled() const { return handled_; }

  private:
    static constexpr std::size_t kPartitions = 8;

    // A partition: a fetcher, handlers behind a bounded pool, and a committer, each with waits of
    // its own kind. One owner of a partition at a time.
    Status consume(const Context& context, std::size_t partition) {
        EXPECT_EQ(++owners_[partition], 1);
        const std::uint64_t seed = random_();
        Status status;
        {
            Channel<std::uint64_t> fetched(4);
            Channel<std::uint64_t> done(4);
            Group group(&context);
            group.spawn([&] { return fetch(group.context(), fetched, partition, seed); });
            group.spawn([&] { return handle(group.context(), fetched, done); });
            group.spawn([&] { return commit(group.context(), done, partition); });
            status = group.wait();
        }
        EXPECT_EQ(--owners_[partition], 0);
        return status;
    }

    // "Long polls": mostly an answer comes, sometimes the deadline.
    Status fetch(const Context& context, Channel<std::uint64_t>& fetched, std::size_t partition,
                 std::uint64_t seed) {
        std::mt19937_64 random(seed);
        for (std::uint64_t offset = offsets_[partition];;) {
            Event never;
            Context poll(&context, deadline_after(static_cast<TimeNs>(random() % 50'000)));
            (void)never.wait(poll);
            SLUICE_TRY(context.status());
            for (std::uint64_t n = random() % 8; n > 0; --n) {
                SLUICE_TRY(fetched.send(offset++, context));
            }
        }
    }

    Status handle(const Context& context, Channel<std::uint64_t>& fetched,
                  Channel<std::uint64_t>& done) {
        WorkerPool pool(&context, {.workers = 2, .queue = 2});
        Status status;
        while (status) {
            const Result<std::uint64_t> offset = fetched.receive(context);
            if (!offset) break;
            status = pool.submit(
                [this, &done, offset = *offset](const Context& job) -> Status {
                    MutexGuard guard(store_);
                    SLUICE_TRY(done.send(std::uint64_t{offset}, job));
                    ++handled_;
                    return {};
                },
                context);
        }
        SLUICE_TRY(pool.drain());
        return context.status();
    }

    Status commit(const Context& context, Channel<std::uint64_t>& done, std::size_t partition) {
        Channel<int> ticks;
        for (;;) {
            std::optional<std::uint64_t> offset;
            std::optional<int> tick;
            const Selected got =
                select({receive_case(done, offset), receive_case(ticks, tick)}, context);
            SLUICE_TRY(context.status());
            EXPECT_EQ(got.index, 0);
            offsets_[partition] = std::max(offsets_[partition], *offset + 1);
        }
    }

    std::mt19937_64 random_;
    Mutex store_;
    std::vector<std::uint64_t> offsets_;
    std::vector<int> owners_;
    std::uint64_t handled_ = 0;
};

TEST(Rebalance, AThousandLeaveNoFiber) {
    for_each_seed(5, [](std::uint64_t seed) {
        run_simulated(seed, [seed] {
            std::mt19937_64 random(seed);
            Consumer consumer(seed);
            const std::uint64_t before = live_fibers();
            for (int i = 0; i < 1'000; ++i) {
                consumer.generation(static_cast<TimeNs>(random() % 200'000));
                ASSERT_EQ(live_fibers(), before) << "after rebalance " << i;
            }
            EXPECT_GT(consumer.handled(), 1'000u);
            // What has come and gone: a test that starts nothing leaves nothing, too.
            EXPECT_GT(rt::Runtime::current().stats().fibers_ended, 10'000u);
        });
    });
}

}  // namespace
}  // namespace sluice::sync
