// StackCapture: the stack of whatever a worker's thread runs right now, had by a signal (SIGURG,
// which is ignored by default and restarts system calls). The handler only copies return addresses.
//
// The thread enters it while it serves; any other thread takes. One take() at a time, the others
// wait. A thread that does not answer within limits::kStackCaptureNs (it cannot take signals: a
// sanitizer holds them back, or it is stopped) is given up.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <mutex>

#include "base/clock.h"
#include "rt/backtrace.h"

namespace sluice::rt {

class Worker;

class StackCapture {
  public:
    struct Result {
        std::uint64_t fiber = 0;  // 0: the scheduler ran, and the stack has one address
        const char* name = "";
        Backtrace stack;
    };

    // By the worker's thread. The handler is installed at the first call in the process.
    void enter();
    void leave();

    // Any other thread; on the worker's own thread it returns false. Blocks for some microseconds.
    bool take(Result& out);

    // Runs fn(thread) if the thread serves; it does not end meanwhile. Any other thread.
    template <class F>
    void while_serving(F&& fn) {
        const std::lock_guard lock(mutex_);
        if (serving_) fn(thread_);
    }

    // Makes the thread's poller collect what only this thread can (Poller::collect_on_signal), if a
    // fiber runs there. Does not wait for it. Any other thread.
    void nudge();

    // CPU time that the worker's thread has used so far; 0 if it does not serve. Any thread.
    TimeNs cpu_ns();

    // In the handler: what is to be copied now, or nullptr.
    Result* wanted() noexcept;
    void done() noexcept;

  private:
    enum State : int { kIdle, kWanted, kTaking, kDone };

    std::mutex mutex_;
    bool serving_ = false;  // this and the next under mutex_
    pthread_t thread_{};
    std::atomic<int> state_{kIdle};
    Result result_;  // the handler's between kTaking and kDone
};

}  // namespace sluice::rt
