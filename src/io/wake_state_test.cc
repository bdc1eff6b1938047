// Wake-ups in every interleaving of small programs (arch/interleavings_testing.h).
#include "io/wake_state.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "arch/interleavings_testing.h"
#include "arch/switch.h"

namespace sluice::io {
namespace {

struct Poller {
    model::Atomic<int> sent{0};  // wake-ups that have not arrived
    model::Atomic<int> work{0};  // a bit for each of its threads
    bool looks = false;          // it has been woken, and has not looked for work since
};

// One that merges by a plain flag, set before it sends.
class FlagState {
  public:
    template <class F>
    void notify(F&& send) {
        if (!pending_.exchange(true, std::memory_order_acq_rel)) send();
    }
    void consume() { pending_.exchange(false, std::memory_order_acq_rel); }

  private:
    model::Atomic<bool> pending_{false};
};

// Threads that bring work and wake the poller, which takes it. Whoever has notified relies on it
// that the poller comes, whatever the others are at.
template <class State>
model::Report run(unsigned wakers, unsigned polls) {
    struct Shared : Poller {
        State state;
    };
    // Sanitizers make a step ten times as dear.
    constexpr bool kSlow = SLUICE_ASAN != 0 || SLUICE_TSAN != 0;
    const auto make = [=] {
        const auto shared = std::make_shared<Shared>();
        model::Program program;
        for (unsigned i = 0; i < wakers; ++i) {
            program.threads.emplace_back([=] {
                const int mine = 1 << i;
                shared->work.fetch_or(mine);
                shared->state.notify([&] { shared->sent.fetch_add(1); });
                const bool served = (shared->work.value() & mine) == 0;
                model::expect(served || shared->sent.value() > 0 || shared->looks,
                              "a wake-up is hidden");
            });
        }
        program.threads.emplace_back([=] {
            for (unsigned i = 0; i < polls; ++i) {
                shared->looks = true;  // or else it sleeps on
                if (shared->sent.exchange(0) > 0) {
                    shared->state.consume();
                    shared->work.exchange(0);
                }
                shared->looks = false;
            }
        });
        program.check = [=] {
            model::expect(shared->work.value() == 0 || shared->sent.value() > 0, "lost");
        };
        return program;
    };
    return model::explore(make, {.preemptions_max = kSlow ? 2 : UINT32_MAX});
}

TEST(WakeState, NoWakeUpIsLostOrHidden) {
    for (const unsigned polls : {1U, 2U}) {
        const auto report = run<WakeState<model::Atomic>>(2, polls);
        EXPECT_EQ(report.failure, "");
        EXPECT_TRUE(report.complete);
        EXPECT_GE(report.executions, 50U);
    }
}

TEST(WakeState, AFlagThatIsSetBeforeSendingHidesOthers) {
    const auto report = run<FlagState>(2, 1);
    EXPECT_NE(report.failure.find("hidden"), std::string::npos) << report.failure;
}

TEST(WakeState, AFloodIsMerged) {
    WakeState<> state;
    int sent = 0;
    for (int i = 0; i < 1'000; ++i) state.notify([&sent] { ++sent; });
    EXPECT_EQ(sent, 1);
    state.consume();
    state.consume();
    state.notify([&sent] { ++sent; });
    EXPECT_EQ(sent, 2);
}

}  // namespace
}  // namespace sluice::io
