// The poller on epoll: one epoll instance a worker, every descriptor registered once,
// edge-triggered.
//
// Works everywhere; what it costs more than io_uring are two system calls for each registration and
// one for each turn, also for a turn that finds nothing.
#pragma once

#include <array>

#include "io/readiness.h"
#include "io/wake_event.h"
#include "io/watch_table.h"

namespace sluice::io {

class EpollPoller final : public Poller {
  public:
    EpollPoller();
    ~EpollPoller() override;

    unsigned poll(TimeNs timeout_ns) override;
    Waiting waiting() noexcept override;
    unsigned poll_for_other() override;
    void wake() noexcept override { wake_.signal(); }
    bool idle() const override { return watches_.size() == 0; }

    Status add(Watch& watch, std::uint32_t interest) override;
    void remove(Watch& watch) override;
    const char* name() const noexcept override { return "epoll"; }

  private:
    static constexpr WatchTable::Token kWakeToken = UINT64_MAX;

    unsigned take_turn(std::int64_t wait_ns);

    WakeEvent wake_;
    Descriptor epoll_;
    WatchTable watches_;
    std::array<epoll_event, limits::kEventsPerPoll> events_;
    bool bound_ = false;
};

}  // namespace sluice::io
