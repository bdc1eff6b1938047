// One thread of the load generator: its connections in an epoll set, its clients, its statistics.
//
// Set up on any thread (add_connection, then the clients), then run() on its own thread until every
// client has stopped. Clients count themselves with client_started() and client_stopped().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "base/tick_clock.h"
#include "bench/connection.h"
#include "bench/run_state.h"

namespace sluice::bench {

struct LoopStats {
    HdrHistogram latency;  // nanoseconds, of measured calls (kWatch: of measured events)
    std::uint64_t calls = 0;
    std::uint64_t errors = 0;
    std::string first_error;
};

class Loop {
  public:
    Loop(const http2::SessionConfig& config, const Clock& clock, const TickClock& ticks,
         RunState& state);
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    Result<Connection*> add_connection(const std::string& endpoint);

    // Serves events until stop() or, after kStop, until no client is active. Then closes.
    void run();
    // Any thread: makes the loop look at the phase.
    void wake() noexcept;

    // For clients, on the loop's thread.
    Ticks now() const noexcept { return now_; }  // of the bytes that are being handled
    RunState& state() noexcept { return state_; }
    // The loop is ready when as many things have arrived as are expected: usable connections, or
    // created watchers.
    void expect(std::size_t arrivals) noexcept { expected_ += arrivals; }
    void arrived();
    void client_started() noexcept { ++active_; }
    void client_stopped() noexcept;
    void record(Ticks started) noexcept;  // a measured call that ended now
    void record_error(const std::string& what);
    // Does `what` on the loop's thread at the next wake().
    void on_wake(std::function<void()> what) { on_wake_ = std::move(what); }

    LoopStats& stats() noexcept { return stats_; }

  private:
    bool finished() const noexcept;

    const http2::SessionConfig& config_;
    const Clock& clock_;
    const TickClock& ticks_;
    RunState& state_;
    LoopMemory memory_;
    std::vector<std::unique_ptr<Connection>> connections_;
    std::function<void()> on_wake_;
    LoopStats stats_;
    Ticks now_ = 0;
    std::size_t active_ = 0;
    std::size_t expected_ = 0;
    std::size_t arrived_ = 0;
    bool reported_finished_ = false;
    int epoll_fd_ = -1;
    int wake_fd_ = -1;
};

}  // namespace sluice::bench
