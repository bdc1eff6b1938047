// NullPoller: a poller without any I/O. A worker sleeps in it until its next timer or a wake().
#pragma once

#include <condition_variable>
#include <mutex>

#include "rt/poller.h"

namespace sluice::rt {

class NullPoller final : public Poller {
  public:
    unsigned poll(TimeNs timeout_ns) override;
    void wake() noexcept override;
    bool idle() const override { return true; }

  private:
    std::mutex mutex_;
    std::condition_variable woken_;
    bool wake_pending_ = false;  // guarded by mutex_
};

}  // namespace sluice::rt
