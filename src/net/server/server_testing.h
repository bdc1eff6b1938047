// A Server on a real runtime of its own, and plain blocking sockets to talk to it.
//
//   ServerBox box({.poller = "epoll"}, factory);      // listens on a free port of 127.0.0.1
//   TestSocket socket(box.port());
//   socket.send("GET /x HTTP/1.1\r\nhost: a\r\n\r\n");
//   EXPECT_EQ(socket.receive_until("\r\n\r\n"), ...);
//
// Everything here is called by the test's own thread, which is no worker.
#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "base/clock.h"
#include "base/tick_clock.h"
#include "net/server/server.h"
#include "rt/runtime.h"
#include "sync/event.h"

namespace sluice::net {

// The machine's clock, and as much on top as a test wants.
class SkippingClock final : public Clock {
  public:
    TimeNs now_ns() const override { return system_.now_ns() + skipped_ns_.load(); }
    TimeNs wall_ns() const override { return system_.wall_ns() + skipped_ns_.load(); }
    void skip(TimeNs duration_ns) { skipped_ns_.fetch_add(duration_ns); }

  private:
    SystemClock system_;
    std::atomic<TimeNs> skipped_ns_{0};
};

struct ServerBoxOptions {
    const char* poller = "epoll";
    unsigned workers = 2;
    ServerConfig server = {};
};

class ServerBox {
  public:
    // `protocols` outlives the box.
    ServerBox(const ServerBoxOptions& options, ProtocolFactory& protocols);
    // Stops at once, if stop() was not called.
    ~ServerBox();

    std::uint16_t port() const { return port_; }
    const TickClock& ticks() const { return ticks_; }
    ServerCounters counters() const { return server_->counters(); }

    // Runs fn on a fiber and waits for it.
    void run(std::function<void()> fn);
    // Lets the server believe that time has passed, and its timers fire.
    void skip(TimeNs duration_ns);
    // Server::stop() with a deadline so far away, then join(). Waits for both.
    void stop(TimeNs drain_ns);
    // Starts to stop, without waiting.
    void begin_stop(TimeNs drain_ns);
    // Waits until `condition` holds; false after much patience.
    bool eventually(const std::function<bool()>& condition) const;

  private:
    SkippingClock clock_;
    TickClock ticks_;
    rt::Runtime runtime_;
    std::unique_ptr<Server> server_;
    std::unique_ptr<rt::ForeignThread> hold_;  // this thread wakes fibers
    std::promise<void> stopped_;
    sync::Event leave_;
    std::thread thread_;
    std::uint16_t port_ = 0;
    bool stopping_ = false;
};

class TestSocket {
  public:
    // `receive_buffer_bytes` 0: the kernel's choice. Small ones make a slow reader.
    explicit TestSocket(std::uint16_t port, int receive_buffer_bytes = 0);
    ~TestSocket() { close(); }
    TestSocket(const TestSocket&) = delete;
    TestSocket& operator=(const TestSocket&) = delete;

    void send(std::string_view bytes);
    // As much as the kernel takes now.
    std::size_t send_some(std::string_view bytes);
    // What there is, waiting for at least a byte; empty at the end of the stream, after a reset
    // (was_reset() then says so), and after much patience (which fails the test).
    std::string receive();
    // What there is now; empty if there is nothing.
    std::string receive_now();
    std::string receive_until(std::string_view text);
    // All up to the end of the stream.
    std::string receive_all();
    bool was_reset() const { return was_reset_; }

    void shut_down_sending();
    void close();
    // Close with a reset instead of an end of stream.
    void reset();

  private:
    int fd_ = -1;
    bool was_reset_ = false;
};

}  // namespace sluice::net
