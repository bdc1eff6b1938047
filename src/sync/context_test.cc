#include "sync/context.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "rt/runtime.h"
#include "sync/event.h"
#include "sync/group.h"
#include "sync/run_testing.h"

namespace sluice::sync {
namespace {

TEST(Context, BackgroundNeverEnds) {
    EXPECT_TRUE(Context::background().never_ends());
    EXPECT_FALSE(Context::background().ended());
    EXPECT_TRUE(Context::background().status().has_value());
    EXPECT_EQ(Context::background().deadline_ns(), kNever);
}

TEST(Context, CancelReachesDescendantsWithTheCause) {
    Context root(nullptr);
    Context child(&root);
    Context grandchild(&child);
    EXPECT_FALSE(grandchild.ended());
    root.cancel("the server stops");
    root.cancel("too late");
    for (const Context* context : {&root, &child, &grandchild}) {
        EXPECT_TRUE(context->ended());
        EXPECT_EQ(context->status().error().code(), Code::kCancelled);
        EXPECT_EQ(context->status().error().message(), "the server stops");
    }
    Context late(&child);
    EXPECT_EQ(late.status().error().message(), "the server stops");
}

TEST(Context, TheCauseKeepsItsCode) {
    Context root(nullptr);
    Context child(&root);
    EXPECT_TRUE(child.cause().has_value());
    root.cancel(Error(Code::kDataLoss, "disk on fire"));
    root.cancel(Error(Code::kAborted, "too late"));
    Context late(&child);
    for (const Context* context : {&root, &child, &late}) {
        EXPECT_EQ(context->status().error().code(), Code::kCancelled);
        EXPECT_EQ(context->status().error().message(), "disk on fire");
        EXPECT_EQ(context->cause().error().code(), Code::kDataLoss);
        EXPECT_EQ(context->cause().error().message(), "disk on fire");
    }
    Context plain(nullptr);
    plain.cancel();
    EXPECT_EQ(plain.cause().error().code(), Code::kCancelled);
}

TEST(Context, AGroupsFirstErrorIsItsContextsCause) {
    run_simulated(1, [] {
        Group group(nullptr);
        group.spawn([]() -> Status { return fail(Code::kDataLoss, "disk on fire"); });
        EXPECT_FALSE(group.wait().has_value());
        EXPECT_EQ(group.context().status().error().code(), Code::kCancelled);
        EXPECT_EQ(group.context().cause().error().code(), Code::kDataLoss);
    });
}

TEST(Context, ADeadlinesCauseIsTheDeadline) {
    run_simulated(1, [] {
        Context context(nullptr, deadline_after(kSecond));
        rt::sleep_for(2 * kSecond);
        EXPECT_EQ(context.cause().error().code(), Code::kDeadlineExceeded);
    });
}

TEST(Context, ChildDoesNotEndItsParent) {
    Context root(nullptr);
    Context sibling(&root);
    {
        Context child(&root);
        child.cancel();
        EXPECT_TRUE(child.ended());
    }
    EXPECT_FALSE(root.ended());
    EXPECT_FALSE(sibling.ended());
}

TEST(Context, TheEarlierDeadlineHolds) {
    run_simulated(1, [] {
        const TimeNs soon = deadline_after(kSecond);
        const TimeNs later = deadline_after(5 * kSecond);
        Context parent(nullptr, soon);
        Context child(&parent, later);
        EXPECT_EQ(child.deadline_ns(), soon);
        Context strict(nullptr, later);
        Context stricter(&strict, soon);
        EXPECT_EQ(stricter.deadline_ns(), soon);
        EXPECT_FALSE(child.ended());
        rt::sleep_until(soon);
        EXPECT_TRUE(child.ended());
        EXPECT_TRUE(stricter.ended());
        EXPECT_FALSE(strict.ended());
        EXPECT_EQ(child.status().error().code(), Code::kDeadlineExceeded);
    });
}

TEST(Context, DeadlineEndsAWait) {
    run_simulated(1, [] {
        Event never;
        const TimeNs deadline = deadline_after(3 * kSecond);
        Context context(nullptr, deadline);
        EXPECT_EQ(never.wait(context).error().code(), Code::kDeadlineExceeded);
        EXPECT_EQ(rt::Runtime::current().clock().now_ns(), deadline);
        EXPECT_EQ(never.wait(context).error().code(), Code::kDeadlineExceeded);
    });
}

TEST(Context, ParentsDeadlineEndsAChildsWaitAfterASleep) {
    run_simulated(2, [] {
        Event never;
        Context parent(nullptr, deadline_after(kSecond));
        Context child(&parent);
        Group group(nullptr);
        group.spawn([&] { EXPECT_FALSE(never.wait(child).has_value()); });
        group.spawn([&] { EXPECT_FALSE(never.wait(parent).has_value()); });
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_TRUE(child.ended());
    });
}

struct Counter final : Context::Callback {
    Counter() : Callback(&Counter::run) {}
    static void run(Callback& callback) noexcept { ++static_cast<Counter&>(callback).calls; }
    int calls = 0;
};

TEST(Context, CallbacksRunOnceUnlessRemoved) {
    Context context(nullptr);
    Counter kept;
    Counter removed;
    Counter late;
    EXPECT_TRUE(context.add(kept));
    EXPECT_TRUE(context.add(removed));
    context.remove(removed);
    context.cancel();
    context.cancel();
    EXPECT_FALSE(context.add(late));
    EXPECT_EQ(kept.calls, 1);
    EXPECT_EQ(removed.calls, 0);
    EXPECT_EQ(late.calls, 0);
    context.remove(kept);
    context.remove(late);
}

TEST(Context, OnEndRunsAtOnceIfItHasEnded) {
    Context context(nullptr);
    int calls = 0;
    {
        OnEnd unused(context, [&]() noexcept { ++calls; });
    }
    EXPECT_EQ(calls, 0);
    OnEnd before(context, [&]() noexcept { ++calls; });
    context.cancel();
    EXPECT_EQ(calls, 1);
    OnEnd after(context, [&]() noexcept { ++calls; });
    EXPECT_EQ(calls, 2);
}

TEST(Context, AThreadOutsideTheRuntimeMayCancel) {
    run_on(2, [] {
        for (int i = 0; i < 100; ++i) {
            Context context(nullptr);
            Event never;
            rt::ForeignThread hold(rt::Runtime::current());
            std::thread thread([&] { context.cancel("from outside"); });
            EXPECT_EQ(never.wait(context).error().message(), "from outside");
            thread.join();
        }
    });
}

// Waits, deadlines, cancels and destructions race for the same contexts.
TEST(Context, StressOfEnds) {
    run_on(3, [] {
        std::atomic<int> ended{0};
        Group group(nullptr);
        for (int i = 0; i < 64; ++i) {
            group.spawn([&ended, i] {
                for (int round = 0; round < 30; ++round) {
                    Context parent(nullptr, deadline_after(kMillisecond));
                    Context child(&parent,
                                  i % 3 == 0 ? deadline_after(100 * kMicrosecond) : kNever);
                    Group inner(&child);
                    Event never;
                    for (int w = 0; w < 3; ++w) {
                        inner.spawn([&] {
                            if (!never.wait(inner.context())) ended.fetch_add(1);
                        });
                    }
                    if (i % 2 == 0) parent.cancel();
                    EXPECT_TRUE(inner.wait().has_value());
                }
            });
        }
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_EQ(ended.load(), 64 * 30 * 3);
    });
}

}  // namespace
}  // namespace sluice::sync
