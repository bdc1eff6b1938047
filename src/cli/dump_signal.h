// SIGQUIT: writes a dump of all fibers to standard error, and everything goes on.
//
// A thread of its own waits for the signal, so that the dump comes also when every worker is stuck.
// SignalWaiter (cli/signals.h) has blocked the signal in all threads before.
#pragma once

#include <atomic>
#include <thread>

namespace sluice::rt {
class Runtime;
}

namespace sluice::cli {

class DumpOnSignal {
  public:
    explicit DumpOnSignal(rt::Runtime& runtime);
    DumpOnSignal(const DumpOnSignal&) = delete;
    DumpOnSignal& operator=(const DumpOnSignal&) = delete;
    ~DumpOnSignal();

  private:
    void wait_for_signals();

    rt::Runtime& runtime_;
    std::atomic<bool> ends_{false};
    std::thread thread_;
};

}  // namespace sluice::cli
