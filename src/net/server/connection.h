// One accepted connection: its socket, its output, and the turns in which its protocol runs.
//
// An idle connection is data: this object, its protocol's tables and a Watch in the poller. When
// bytes arrive, or when somebody has posted an answer, the connection takes a *turn*: a fiber reads
// what is there, lets the protocol work, runs what was posted, and writes. Turns of one connection
// never overlap, so nothing in a protocol is locked; requests that wait live outside the turn, on
// fibers of their own or as data, and come back by post().
//
//        events, post()            spawn                 nothing new
//   kIdle ------------> kScheduled -----> kRunning -----------------------> kIdle
//                                            | events, post()        ^
//                                            v                       | runs again
//                                         kRunningAgain -------------'
//
// A turn reads at most limits::kReadBytesPerTurn and writes at most limits::kWriteBytesPerTurn; if
// more is there the next turn goes to the tail of the run queue, so that one busy peer leaves room
// for others.
//
// Lifetime: intrusive references. The server's list holds one until the socket is closed; every
// call in flight holds one, so that its answer always has somewhere to go.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/clock.h"
#include "base/tick_clock.h"
#include "io/descriptor.h"
#include "io/readiness.h"
#include "net/http2/output_buffer.h"
#include "net/server/protocol.h"
#include "rt/timer.h"

namespace sluice::rt {
class Fiber;
}

namespace sluice::net {

class Server;

// Work that anybody may hand to a connection's next turn. The object must stay until run_in_turn().
class Posted {
  public:
    virtual void run_in_turn(TimeNs now) = 0;

  protected:
    ~Posted() = default;

  private:
    friend class Connection;
    Posted* next_ = nullptr;
};

class Connection final : private io::Watch {
  public:
    // Takes the socket over and registers it with the calling worker's poller. On a fiber.
    static void start(Server& server, io::Descriptor socket);

    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // Hands `work` to the next turn. Any fiber or callback of the runtime; the caller holds a
    // reference.
    void post(Posted& work);

    // True if the caller is this connection's running turn: then it may act at once instead of
    // posting.
    bool in_turn() const noexcept;

    // Ends it: gracefully (requests in flight are answered), or at once. Any fiber.
    void begin_drain();
    void abort();

    // For the protocol, in a turn.
    http2::OutputBuffer& output() noexcept { return output_; }
    // When the event came that made this turn necessary, and when the turn began.
    Ticks ready_at() const noexcept { return ready_at_; }
    Ticks turn_began_at() const noexcept { return turn_began_at_; }

    void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
    void release() noexcept;

  private:
    friend class Server;
    enum State : std::uint32_t { kIdle, kScheduled, kRunning, kRunningAgain };
    enum Flag : std::uint32_t {
        kReadReady = 1,
        kWriteReady = 2,
        kDrainAsked = 4,
        kAbortAsked = 8,
        kTimerFired = 16,
        kTrimAsked = 32,
    };

    Connection(Server& server, int socket);
    ~Connection();

    static void on_ready(io::Watch& watch, std::uint32_t events);
    static void on_timer(rt::Timer& timer);
    void signal(std::uint32_t flags);
    void schedule();
    void run_turns();

    void turn(TimeNs now);
    void read_input(TimeNs now, TurnScratch& scratch);
    void take_input(std::string_view bytes, TimeNs now, TurnScratch& scratch);
    void detect_protocol(std::string_view bytes, TimeNs now);
    bool protocol_wants_input() const;
    void run_posted(TimeNs now);
    void write_output(TimeNs now);
    void check_timer(TimeNs now);
    void arm_timer(TimeNs now);
    void close(TimeNs now);

    struct TimerSlot : rt::Timer {
        Connection* connection = nullptr;
    };

    Server& server_;
    // Both atomics: a producer sets flags or pushes work, then asks for a turn (release); the turn
    // takes the state to kRunning (acquire) before it looks at them.
    std::atomic<std::uint32_t> state_{kIdle};
    std::atomic<std::uint32_t> flags_{0};
    std::atomic<Posted*> posted_{nullptr};  // newest first; pushed with release, taken with acquire
    std::atomic<rt::Fiber*> turn_fiber_{nullptr};  // set and cleared by the turn itself
    std::atomic<std::uint32_t> references_{1};
    std::unique_ptr<Protocol> protocol_;
    http2::OutputBuffer output_;
    std::string first_bytes_;  // until the protocol is known
    TimerSlot timer_;
    Ticks ready_at_ = 0;  // written by who takes the state from kIdle, read by the turn after it
    Ticks turn_began_at_ = 0;
    TimeNs last_input_ns_ = 0;
    TimeNs ping_sent_ns_ = 0;  // 0: no ping is unanswered
    bool readable_ = false;
    bool writable_ = true;
    bool input_over_ = false;  // the peer's end of stream, or the protocol's
    bool closed_ = false;
    bool warm_ = false;  // has run since the server last looked for idle ones
    // The server's list.
    Connection* list_next_ = nullptr;
    Connection* list_previous_ = nullptr;
};

// A counted reference to a Connection.
class ConnectionRef {
  public:
    explicit ConnectionRef(Connection& connection) noexcept : connection_(&connection) {
        connection_->retain();
    }
    ConnectionRef(const ConnectionRef&) = delete;
    ConnectionRef& operator=(const ConnectionRef&) = delete;
    ~ConnectionRef() { connection_->release(); }

    Connection& operator*() const noexcept { return *connection_; }
    Connection* operator->() const noexcept { return connection_; }

  private:
    Connection* connection_;
};

}  // namespace sluice::net
