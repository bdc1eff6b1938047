// The blocking pool's protocol in every interleaving of small programs
// (arch/interleavings_testing.h).
#include "rt/thread_roster.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "arch/interleavings_testing.h"
#include "arch/switch.h"

namespace sluice::rt {
namespace {

using Roster = ThreadRoster<model::Atomic>;

constexpr unsigned kPoolThreads = 2;

// The pool around the roster: the queue is a number of jobs, a permit a number, a started thread is
// only counted: it will look for jobs.
struct Pool {
    explicit Pool(unsigned slots) : roster(slots) {}

    void add_thread(unsigned slot) {
        model::expect(roster.claim() == slot, "a free slot");
        roster.add_spare();
        roster.announce(slot);
    }
    void summon() {
        if (const auto slot = roster.summon()) permits[*slot].fetch_add(1);
    }
    void submit() {
        const bool thread_comes = roster.expect_job();
        queue.fetch_add(1);
        summon();
        if (!thread_comes && roster.claim()) started.fetch_add(1);
    }
    bool take_job() {
        int jobs = queue.load();
        while (jobs > 0) {
            if (queue.compare_exchange_weak(jobs, jobs - 1)) return true;
        }
        return false;
    }

    Roster roster;
    model::Atomic<int> queue{0};
    model::Atomic<int> started{0};
    model::Atomic<int> permits[kPoolThreads];
    // Each by its own thread.
    bool asleep[kPoolThreads] = {};
    bool ended[kPoolThreads] = {};
};

// As BlockingPool::next_job(): a job, which lasts for ever, or sleep.
void look_for_a_job(Pool& pool, unsigned slot, bool pass_on) {
    if (!pool.take_job()) {
        pool.asleep[slot] = true;
        return;
    }
    if (pool.roster.withdraw(slot)) return;
    if (pass_on && pool.queue.load() > 0) pool.summon();
}

// A thread that has slept for long before.
void end_or_look(Pool& pool, unsigned slot) {
    if (pool.roster.leave()) {
        if (!pool.roster.withdraw(slot)) {
            pool.roster.add_spare();
            pool.permits[slot].fetch_sub(1);
        } else if (pool.roster.retire(slot)) {
            pool.ended[slot] = true;
            return;
        }
    }
    pool.roster.announce(slot);
    look_for_a_job(pool, slot, /*pass_on=*/true);
}

// Jobs that nobody has taken while threads sleep: as many of these are about to wake up, or others
// to begin.
void expect_served(const Pool& pool, unsigned threads) {
    int sleepers = 0;
    int waking = 0;
    int busy = 0;
    for (unsigned slot = 0; slot < threads; ++slot) {
        if (pool.asleep[slot]) {
            ++sleepers;
            waking += pool.permits[slot].value() > 0 ? 1 : 0;
        } else if (!pool.ended[slot]) {
            ++busy;
        }
    }
    const int jobs = pool.queue.value();
    const int coming = waking + pool.started.value();
    model::expect(std::min(jobs, sleepers) <= coming, "a job waits while a thread sleeps");
    model::expect(jobs == 0 || busy + coming > 0, "a job waits and no thread is left");
}

struct Shape {
    unsigned slots;
    unsigned threads;
    unsigned submitters;
    bool job_before = false;  // one whose summons has been consumed before it was taken
};

model::Report run(
    Shape shape, const std::function<void(Pool&, unsigned slot)>& thread,
    const std::function<void(Pool&)>& submit = [](Pool& pool) { pool.submit(); }) {
    // Sanitizers make a step ten times as dear.
    constexpr bool kSlow = SLUICE_ASAN != 0 || SLUICE_TSAN != 0;
    return model::explore(
        [&] {
            const auto pool = std::make_shared<Pool>(shape.slots);
            model::Program program;
            for (unsigned slot = 0; slot < shape.threads; ++slot) {
                pool->add_thread(slot);
                program.threads.emplace_back([=] { thread(*pool, slot); });
            }
            if (shape.job_before) {
                (void)pool->roster.expect_job();
                pool->queue.fetch_add(1);
            }
            for (unsigned i = 0; i < shape.submitters; ++i) {
                program.threads.emplace_back([=] { submit(*pool); });
            }
            program.check = [=] { expect_served(*pool, shape.threads); };
            return program;
        },
        {.preemptions_max = kSlow ? 2U : 3U});
}

void expect_sound(const model::Report& report) {
    EXPECT_EQ(report.failure, "");
    EXPECT_TRUE(report.complete);
    EXPECT_GE(report.executions, 100U);
    testing::Test::RecordProperty("executions", std::to_string(report.executions));
}

TEST(ThreadRoster, NoJobWaitsWhileAThreadSleeps) {
    const auto looks = [](Pool& pool, unsigned slot) { look_for_a_job(pool, slot, true); };
    expect_sound(run({.slots = 2, .threads = 2, .submitters = 1}, looks));
    expect_sound(run({.slots = 2, .threads = 2, .submitters = 2}, looks));
    expect_sound(run({.slots = 1, .threads = 1, .submitters = 3}, looks));
    expect_sound(run({.slots = 2, .threads = 2, .submitters = 1, .job_before = true}, looks));
    expect_sound(run({.slots = 2, .threads = 2, .submitters = 2, .job_before = true}, looks));
}

TEST(ThreadRoster, NoJobIsForgottenByThreadsThatEnd) {
    for (const unsigned slots : {1U, 2U, 3U}) {
        expect_sound(run({.slots = slots, .threads = 1, .submitters = 2}, end_or_look));
    }
    for (const unsigned slots : {2U, 3U}) {
        expect_sound(run({.slots = slots, .threads = 2, .submitters = 2}, end_or_look));
    }
}

// The model can see it: programs that leave out what the protocol is about fail.
TEST(ThreadRoster, AThreadThatKeepsASummonsForItselfIsFound) {
    const auto keeps = [](Pool& pool, unsigned slot) { look_for_a_job(pool, slot, false); };
    const auto report = run({.slots = 2, .threads = 2, .submitters = 1, .job_before = true}, keeps);
    EXPECT_NE(report.failure.find("while a thread sleeps"), std::string::npos) << report.failure;
}

TEST(ThreadRoster, ASubmitterThatLooksBeforeItCountsIsFound) {
    const auto late = [](Pool& pool) {
        if (pool.roster.claim()) pool.started.fetch_add(1);
        (void)pool.roster.expect_job();
        pool.queue.fetch_add(1);
        pool.summon();
    };
    const auto report = run({.slots = 1, .threads = 1, .submitters = 1}, end_or_look, late);
    EXPECT_NE(report.failure.find("no thread is left"), std::string::npos) << report.failure;
}

}  // namespace
}  // namespace sluice::rt
