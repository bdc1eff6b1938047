// One RPC on the server: what its handler answers through.
//
// A unary call is finished exactly once, with a message or an error. A stream sends any number of
// messages first. Every function here may be called from any fiber or callback of the runtime; none
// suspends. In the connection's own turn an answer goes straight into the connection's output; from
// elsewhere it is handed to the connection's next turn.
//
// A client that has gone, or a deadline that has passed, ends the call on the wire at once; done()
// is true from then on. The handler still calls finish(), which is then without effect: until it
// does, the call counts against its connection's limit of concurrent streams.
//
//   services.unary("/pkg.Service/Method", [](CallRef call, std::string_view request) {
//       call->run([call, text = std::string(request)] {      // a fiber: may suspend
//           call->finish(Message::of(answer(text)));
//       });
//   });
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/spin_lock.h"
#include "base/tick_clock.h"
#include "base/time_account.h"
#include "net/grpc/call_ref.h"
#include "net/grpc/message.h"
#include "net/grpc/service.h"
#include "net/http2/session.h"
#include "net/server/connection.h"
#include "rt/runtime.h"
#include "rt/timer.h"

namespace sluice::grpc {

class GrpcProtocol;

class Call final : private net::Posted {
  public:
    const Method& method() const noexcept { return method_; }
    // On the runtime's clock; kNever if the client set none.
    TimeNs deadline_ns() const noexcept { return deadline_ns_; }
    // Nothing that is sent from now on reaches the client.
    bool done() const noexcept { return cancelled_.load(std::memory_order_acquire); }

    // The end: exactly one of these, once.
    void finish(Message response);
    void finish(const Error& error);
    void finish_ok();

    // Streams. False: much is waiting already; go on after ServerStream::on_writable(). The message
    // is taken in any case, so a sender that ignores it must bound itself. After the end (a fiber
    // may still send while the stream's turn finishes the call) it is dropped: false.
    bool send(Message message);
    // Streams: ServerStream::on_writable() is called in the connection's next turn, never from
    // here: so it may be called under a lock, by whoever has something for the stream to send.
    void wake();
    // Bytes handed to send() that the peer's window has not let out yet.
    std::size_t unsent_bytes() const noexcept {
        return unsent_bytes_.load(std::memory_order_relaxed);
    }

    // Goes on on a fiber of its own. `body` must end in finish().
    template <class F>
    void run(F&& body) {
        rt::spawn(std::forward<F>(body), method_.name.c_str());
    }

    // Where the time goes. Owned by whoever works on the call at the moment.
    TimeAccount account;

  private:
    friend class GrpcProtocol;
    friend void retain_call(Call& call) noexcept;
    friend void release_call(Call& call) noexcept;

    Call(GrpcProtocol& protocol, net::Connection& connection, Method& method,
         http2::StreamId stream_id);
    ~Call();

    void run_in_turn(TimeNs now) override;
    void hand_over();
    void post();
    void end(std::unique_ptr<Error> error);

    // Posts itself when the deadline comes, and holds a reference until it has run or is cancelled.
    // What its callback touches after the post is safe: the Call's destructor waits for it.
    struct DeadlineTimer final : rt::Timer, net::Posted {
        explicit DeadlineTimer(Call& owner) : call(owner) {}
        void run_in_turn(TimeNs now) override;
        Call& call;
    };

    GrpcProtocol& protocol_;
    net::ConnectionRef connection_;
    Method& method_;
    std::atomic<std::uint32_t> references_{0};
    // Set by the turn (release) once the stream is over on the wire; read by handlers (acquire).
    std::atomic<bool> cancelled_{false};
    std::atomic<bool> woken_{false};
    std::atomic<std::uint32_t> unsent_bytes_{0};

    SpinLock lock_;
    std::vector<Message> outbox_ SLUICE_GUARDED_BY(lock_);
    // With finished_: how it ended; null: OK.
    std::unique_ptr<Error> error_ SLUICE_GUARDED_BY(lock_);
    bool finished_ SLUICE_GUARDED_BY(lock_) = false;
    bool posted_ SLUICE_GUARDED_BY(lock_) = false;

    // Owned by the turn.
    const http2::StreamId stream_id_;
    std::unique_ptr<ServerStream> stream_;
    MessageReader reader_;
    TimeNs deadline_ns_ = kNever;
    std::uint32_t blocked_bytes_ = 0;  // given to the session, which waits for the peer's window
    std::string held_;       // request bytes that wait until the answers before them are taken
    bool held_end_ = false;  // and the end of the request
    bool is_held_ = false;
    bool got_message_ = false;
    bool headers_sent_ = false;
    bool ended_ = false;     // trailers are on their way, or the stream is gone
    bool released_ = false;  // the session has been told that the handler stopped
    std::unique_ptr<DeadlineTimer> deadline_timer_;
};

}  // namespace sluice::grpc
