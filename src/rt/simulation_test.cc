#include "rt/simulation.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "rt/baton_testing.h"
#include "rt/blocking.h"
#include "rt/timer.h"

namespace sluice::rt {
namespace {

// A program with every kind of wait; its trace tells the order of all steps and their times.
std::string trace_of(std::uint64_t seed) {
    SimClock clock;
    Runtime runtime(simulated(clock, seed));
    std::string trace;
    runtime.run([&] {
        Baton baton;
        for (int i = 0; i < 6; ++i) {
            spawn([&, i] {
                const auto step = [&](const char* what) {
                    trace += std::to_string(i) + what + std::to_string(clock.now_ns()) + ' ';
                };
                for (int round = 0; round < 4; ++round) {
                    step("y");
                    yield();
                    sleep_for((i + round) % 3 * kMillisecond);
                    step("s");
                    if (i % 2 == 0) {
                        baton.post();
                    } else {
                        static_cast<void>(blocking([&] { return trace.size(); }));
                    }
                    step("b");
                }
            });
        }
        for (int i = 0; i < 12; ++i) baton.wait();
        trace += "end";
    });
    return trace;
}

TEST(Simulation, SameSeedSameSteps) {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        EXPECT_EQ(trace_of(seed), trace_of(seed)) << "seed " << seed;
    }
}

TEST(Simulation, SeedsExploreDifferentOrders) {
    std::set<std::string> traces;
    for (std::uint64_t seed = 0; seed < 50; ++seed) traces.insert(trace_of(seed));
    EXPECT_EQ(traces.size(), 50U);
}

TEST(Simulation, AccountsAreInVirtualTime) {
    SimClock clock;
    Runtime runtime(simulated(clock, 3));
    runtime.run([&] {
        sleep_for(7 * kSecond);
        EXPECT_EQ(current()->account().run_queue_ns, 0);
        EXPECT_EQ(current()->account().running_ns, 0);
        EXPECT_EQ(current()->account().switches, 2U);
    });
}

// A device that answers after a millisecond of virtual time.
class Device final : public SimPoller {
  public:
    explicit Device(SimClock& clock) : SimPoller(clock) {}
    void read(Fiber* fiber) {
        fiber_ = fiber;
        due_ns_ = clock_.now_ns() + kMillisecond;
    }

  protected:
    TimeNs next_event_ns() const override { return due_ns_; }
    unsigned run_events() override {
        if (clock_.now_ns() < due_ns_) return 0;
        due_ns_ = kNever;
        ready(std::exchange(fiber_, nullptr));
        return 1;
    }

  private:
    Fiber* fiber_ = nullptr;
    TimeNs due_ns_ = kNever;
};

TEST(Simulation, DevicesRaiseEvents) {
    SimClock clock;
    Options options = simulated(clock, 9);
    options.make_poller = [&](unsigned) { return std::make_unique<Device>(clock); };
    Runtime runtime(std::move(options));
    runtime.run([&] {
        spawn([] { sleep_for(10 * kMillisecond); });
        const TimeNs start_ns = clock.now_ns();
        for (int i = 1; i <= 20; ++i) {
            park(WaitReason::kIo, [](Fiber* fiber) {
                static_cast<Device&>(current_poller()).read(fiber);
                return true;
            });
            EXPECT_EQ(clock.now_ns(), start_ns + i * kMillisecond);
        }
    });
}

}  // namespace
}  // namespace sluice::rt
