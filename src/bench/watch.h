// The watch workload: writers put, and every watcher must see every put, once and in order.
//
// A writer's next put leaves when its last one has been seen by all watchers, so the number of
// events in flight is bounded and a slow fan-out shows as latency, not as a backlog. What is
// measured is the time from the put's departure to each watcher's event.
// Everything here lives on one loop's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bench/loop.h"
#include "bench/options.h"

namespace sluice::bench {

class WatchRun;

// Puts one key again and again; each value carries the time and the sequence number.
class WatchWriter final : public Call {
  public:
    WatchWriter(WatchRun& run, Connection& connection, unsigned number)
        : run_(run), connection_(connection), number_(number) {}

    void start();
    // A watcher has seen put `sequence`, which left at `left`.
    void seen(std::uint64_t sequence, Ticks left);

  private:
    void next();
    void advance();
    void on_message(std::string_view) override { ++messages_; }
    void on_done(int grpc_status, std::string_view message) override;

    WatchRun& run_;
    Connection& connection_;
    const unsigned number_;
    std::string request_;
    std::uint64_t sequence_ = 0;
    unsigned unseen_ = 0;  // watchers that have not seen the last put yet
    unsigned messages_ = 0;
    bool answered_ = true;
    bool measured_ = false;  // the put began in kMeasure
};

// One watch stream with some of the watchers on it.
class WatchStream final : public Call {
  public:
    WatchStream(WatchRun& run, Connection& connection, unsigned watchers);

    void start();

  private:
    void on_message(std::string_view message) override;
    void on_done(int grpc_status, std::string_view message) override;
    void on_event(std::uint64_t watch_id, std::string_view event);

    WatchRun& run_;
    Connection& connection_;
    const unsigned watchers_;
    unsigned created_ = 0;
    std::vector<std::uint64_t> last_sequence_;  // [watch id on this stream * writers + writer]
};

class WatchRun {
  public:
    // All references and spans outlive the run. One loop serves all connections.
    WatchRun(const Options& options, Loop& loop, std::span<Connection* const> connections,
             std::span<const http2::HeaderField> put_headers,
             std::span<const http2::HeaderField> watch_headers);

    // On the loop's thread: after every watcher was created.
    void start_writers();

  private:
    friend class WatchWriter;
    friend class WatchStream;

    void wrong(const std::string& what);

    const Options& options_;
    Loop& loop_;
    const std::span<const http2::HeaderField> put_headers_;
    const std::span<const http2::HeaderField> watch_headers_;
    const std::string prefix_;
    std::string padding_;  // the rest of every value
    std::vector<std::unique_ptr<WatchStream>> streams_;
    std::vector<std::unique_ptr<WatchWriter>> writers_;
};

}  // namespace sluice::bench
