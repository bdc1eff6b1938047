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
// The end comes in one of four ways. The protocol has finished: what is in the output is written,
// our side is shut down, and what the peer still sends is thrown away for limits::kLingerNs, since
// closing at once would reset the connection and could destroy the last answer. The peer has shut
// down its side: requests that are complete are answered, for limits::kHalfClosedNs at most. The
// transport has failed, or abort(): closed at once. The peer is silent: see ServerConfig.
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
        kHungUp = 64,
    };

    Connection(Server& server, int socket);
    ~Connection();

    static void on_ready(io::Watch& watch, std::uint32_t events);
    static void on_timer(rt::Timer& timer);
    void signal(std::uint32_t flags);
    void schedule();
    void run_turns();

    void turn(TimeNs now);
    bool should_read() const;
    void read_input(TimeNs now);
    void take_input(std::string_view bytes, TimeNs now, TurnScratch& scratch);
    void detect_protocol(std::string_view bytes, TimeNs now);
    void end_input(TimeNs now);
    void probe_half_closed();
    void run_posted(TimeNs now);
    bool write_output(TimeNs now);
    bool end_if_over(TimeNs now, bool wrote);
    void end_at(TimeNs deadline, TimeNs now);
    void keep_trimmed(std::uint32_t flags, TimeNs now);
    void check_timer(TimeNs now);
    TimeNs next_deadline() const;
    void arm_timer(TimeNs now);
    void disarm_timer();
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
    TimeNs last_turn_ns_ = 0;
    TimeNs silent_since_ns_ = 0;  // like last_input_ns_, and a request that is served counts too
    TimeNs ping_sent_ns_ = 0;     // 0: no ping is unanswered
    TimeNs ends_at_ns_ = kNever;  // closed then, whatever is left: half-closed, or lingering
    bool readable_ = false;
    bool writable_ = true;
    bool hung_up_ = false;     // the end is in the socket, maybe behind bytes: read until it comes
    bool input_over_ = false;  // the peer's end of stream has been read
    bool finished_ = false;    // the protocol wants no more input
    bool draining_ = false;
    bool lingering_ = false;  // our side is shut down, input is thrown away
    bool broken_ = false;     // the transport has failed, or the peer is gone
    bool pingable_ = false;   // Protocol::can_ping()
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
