#include "rt/stack_capture.h"

#include <csignal>
#include <ctime>

#include "base/check.h"
#include "base/clock.h"
#include "rt/current_worker.h"
#include "rt/scheduler.h"

namespace sluice::rt {
namespace {

constexpr int kSignal = SIGURG;

void on_signal(int, siginfo_t*, void* machine) {
    Worker* const worker = current_worker();
    if (worker == nullptr) return;
    // Only while a fiber runs: then the poller is not in use on this thread.
    if (worker->current() != nullptr) worker->processor().poller->collect_on_signal();
    StackCapture::Result* const result = worker->capture().wanted();
    if (result == nullptr) return;
    const Interrupted at = interrupted_at(machine);
    if (const Fiber* fiber = worker->current()) {
        const StackArena::Bounds stack = worker->scheduler().stacks().bounds(fiber);
        result->fiber = fiber->id();
        result->name = fiber->name();
        result->stack = walk_frames(at.pc, at.frame, stack.lower, stack.upper);
    } else {
        result->fiber = 0;
        result->name = "";
        result->stack = walk_frames(at.pc, 0, nullptr, nullptr);
    }
    worker->capture().done();
}

void install_handler() {
    static std::once_flag once;
    std::call_once(once, [] {
        struct sigaction action{};
        action.sa_sigaction = on_signal;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
        sigemptyset(&action.sa_mask);
        SLUICE_CHECK(sigaction(kSignal, &action, nullptr) == 0);
    });
}

}  // namespace

void StackCapture::enter() {
    install_handler();
    const std::lock_guard lock(mutex_);
    thread_ = pthread_self();
    serving_ = true;
}

void StackCapture::leave() {
    const std::lock_guard lock(mutex_);
    serving_ = false;
}

bool StackCapture::take(Result& out) {
    const std::lock_guard lock(mutex_);
    if (!serving_ || pthread_equal(thread_, pthread_self()) != 0) return false;
    state_.store(kWanted);
    constexpr TimeNs kStepNs = 20'000;
    const timespec step{.tv_sec = 0, .tv_nsec = kStepNs};
    const bool sent = pthread_kill(thread_, kSignal) == 0;
    for (TimeNs waited_ns = 0; sent && waited_ns < limits::kStackCaptureNs; waited_ns += kStepNs) {
        if (state_.load(std::memory_order_acquire) == kDone) break;
        nanosleep(&step, nullptr);
    }
    // Taken back, if the handler has not begun: an earlier signal may start it, too.
    int wanted = kWanted;
    if (state_.compare_exchange_strong(wanted, kIdle)) return false;
    while (state_.load(std::memory_order_acquire) != kDone) nanosleep(&step, nullptr);
    out = result_;
    state_.store(kIdle);
    return true;
}

void StackCapture::nudge() {
    while_serving([](pthread_t thread) { pthread_kill(thread, kSignal); });
}

TimeNs StackCapture::cpu_ns() {
    TimeNs used_ns = 0;
    while_serving([&used_ns](pthread_t thread) {
        clockid_t clock = 0;
        timespec used{};
        if (pthread_getcpuclockid(thread, &clock) != 0) return;
        if (clock_gettime(clock, &used) == 0) used_ns = used.tv_sec * kSecond + used.tv_nsec;
    });
    return used_ns;
}

StackCapture::Result* StackCapture::wanted() noexcept {
    int wanted = kWanted;
    return state_.compare_exchange_strong(wanted, kTaking) ? &result_ : nullptr;
}

void StackCapture::done() noexcept {
    state_.store(kDone, std::memory_order_release);
}

}  // namespace sluice::rt
