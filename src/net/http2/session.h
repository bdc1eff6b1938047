// One HTTP/2 connection (RFC 9113): bytes in, events out; commands in, bytes out. No I/O, no clock,
// no runtime: a driver owns the socket, the output buffer and the time.
//
//   OutputBuffer out;
//   Session session(Role::kServer, config, handler, out);
//   session.start(now);                              // our preface: SETTINGS
//   ...readable:  if (session.feed(bytes, now, scratch) == FeedResult::kClose) close after a flush;
//   ...then:      session.produce(now);              // queued DATA moves into `out`
//   ...writable:  writev(out.gather()); out.consume(n); session.produce(now);
//   ...no stream open and nothing to send: session.trim();   // an idle connection costs < 600 B
//   ...the end, whatever its cause: session.terminate(code); destroy
//
// Threads: one caller at a time (the driver's lock); calls may come from any thread or fiber.
// Nothing suspends or blocks. Events are fired from inside feed(), produce() and terminate() only,
// never from a command; a handler may call every command from an event, but not feed(), produce(),
// terminate() or the destructor.
//
// Life of a stream, seen by a server's handler:
//
//   on_headers -> on_data* -> (on_headers with trailers) -> on_closed      events
//   send_headers -> send_data* -> send_trailers             -> release()   commands
//
//   * release(id) says "I have stopped": exactly once for each stream that on_headers announced (or
//     open() returned). Only then does the stream stop counting against streams_max, so a peer that
//     resets calls quickly cannot start more handlers than that. After it there are no events.
//   * on_closed comes at most once, when the wire is done with a stream that is not yet released.
//     It does not come if a command of the handler was what closed it.
//
// Sending: what fits into the windows and into output_turn_bytes goes into the output buffer at
// once; the rest waits in the stream, and produce() takes 16 KB frames from all waiting streams in
// turn, so that a small response overtakes a large one. Headers and control frames never wait.
// Receiving: DATA is a view of the caller's bytes. The peer may send more only after consume().
//
// Cost: an all-indexed gRPC call of 300 bytes, parsed and answered, see docs/wire.md.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/shared_bytes.h"
#include "net/http2/error_code.h"
#include "net/http2/flood_guard.h"
#include "net/http2/frame.h"
#include "net/http2/header_block.h"
#include "net/http2/header_field.h"
#include "net/http2/hpack_decoder.h"
#include "net/http2/hpack_encoder.h"
#include "net/http2/keepalive_guard.h"
#include "net/http2/output_buffer.h"
#include "net/http2/session_config.h"
#include "net/http2/stream_table.h"

namespace sluice::http2 {

using StreamId = std::uint32_t;

enum class Role : std::uint8_t { kServer, kClient };

enum class FeedResult : std::uint8_t {
    kContinue,
    kClose,  // the connection is over: flush `out` (it holds a GOAWAY), terminate, close
};

enum class SendResult : std::uint8_t {
    kOk,
    kBlocked,  // accepted, but enough is waiting now: send more after on_writable
    kClosed,   // the stream is gone; nothing was taken
};

// A piece of a DATA payload. Copied, unless it is a slice of SharedBytes.
struct DataPiece {
    std::string_view bytes;
    const SharedBytes* owner = nullptr;

    static DataPiece copy(std::string_view bytes) noexcept { return {bytes, nullptr}; }
    static DataPiece shared(const SharedBytes& owner) noexcept { return {owner.view(), &owner}; }
    static DataPiece shared(const SharedBytes& owner, std::string_view slice) noexcept {
        return {slice, &owner};
    }
};

// `user` is what set_user() stored for the stream, nullptr before. Views end with the call.
class SessionHandler {
  public:
    virtual ~SessionHandler() = default;

    // Server: a request, or its trailers. Client: a response (interim 1xx ones too), or trailers.
    virtual void on_headers(StreamId id, void* user, HeaderBlock& block, bool end_stream) = 0;
    // A part of the payload, as much as one frame and one feed() had; padding is taken off. May be
    // empty only with end_stream.
    virtual void on_data(StreamId id, void* user, std::string_view bytes, bool end_stream) = 0;
    // After kBlocked: less than half of the limit waits now.
    virtual void on_writable(StreamId id, void* user) = 0;
    // The wire is done with the stream. kNoError: both sides have ended it; else it was reset, by
    // the peer or by us for a protocol error, or the connection ended. What was queued is dropped.
    virtual void on_closed(StreamId id, void* user, ErrorCode code) = 0;

    // The peer will accept no streams above last_id.
    virtual void on_goaway(StreamId /*last_id*/, ErrorCode /*code*/, std::string_view /*debug*/) {}
    virtual void on_ping_ack(std::uint64_t /*payload*/) {}
    // The peer's settings changed (client: peer_streams_max()).
    virtual void on_settings() {}
};

class Session {
  public:
    // config, handler and out outlive the session.
    Session(Role role, const SessionConfig& config, SessionHandler& handler, OutputBuffer& out);
    ~Session();  // asserts that every stream was released
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // ---- driver

    // Queues our side of the preface. Once, first.
    void start(TimeNs now);

    // Takes all of `bytes`, fires events. The client's 24-byte preface is part of a server's input.
    // After kClose it does nothing and returns kClose again.
    FeedResult feed(std::string_view bytes, TimeNs now, Scratch& scratch);

    // Moves waiting DATA into the output buffer until that holds output_turn_bytes; fires
    // on_writable and on_closed. Call it after feed(), after commands and after each write to the
    // socket.
    void produce(TimeNs now);

    // False while the peer does not read our answers to it: stop reading from it until true.
    bool wants_input() const noexcept;

    // True if DATA waits that produce() could move once `out` has room (not: for a window).
    bool has_output_waiting() const noexcept;

    // Two-step graceful end (RFC 9113 section 6.8): GOAWAY with the highest id and a PING, after
    // its answer GOAWAY with the last stream that we served; later ones are refused.
    // drained() is true when that is done and no stream is left. Client: sends one GOAWAY.
    void drain(TimeNs now);
    bool drained() const noexcept;

    // The transport will bring nothing more, but may still take output: every stream whose request
    // is not complete ends with on_closed(kCancel). Server only.
    void end_input();

    // Ends the connection: GOAWAY with `code` unless one was sent, on_closed for every stream that
    // is neither closed nor released, queued DATA dropped. feed() returns kClose from now on;
    // release() is still owed. May be called again, without effect.
    void terminate(ErrorCode code, std::string_view debug = {});

    // Gives back memory that an idle connection does not need. With no stream open and no partial
    // frame pending nothing but the entries of the HPACK table is left. Cost: a few frees.
    void trim();

    // ---- streams

    // Client: opens a stream with a request. 0 if the peer's limit of concurrent streams, its
    // GOAWAY or the 2^31 stream ids forbid it; nothing was sent then.
    StreamId open(std::span<const HeaderField> fields, bool end_stream, void* user = nullptr);

    void set_user(StreamId id, void* user) noexcept;
    void* user(StreamId id) const noexcept;

    // A response's headers (or interim ones), at once into the output buffer. kClosed if the stream
    // is gone; never kBlocked.
    SendResult send_headers(StreamId id, std::span<const HeaderField> fields, bool end_stream);

    // Payload; may be empty with end_stream. All of it is taken (the caller bounds one message).
    SendResult send_data(StreamId id, std::span<const DataPiece> pieces, bool end_stream);

    // Trailers end the stream; they wait for the payload before them. Fields are copied if so.
    SendResult send_trailers(StreamId id, std::span<const HeaderField> fields);

    // The application is done with n bytes of received payload: they may be granted again.
    // After release() and reset() the session does it for what is left of the stream.
    void consume(StreamId id, std::size_t bytes);

    // RST_STREAM. No on_closed follows; release() is still owed.
    void reset(StreamId id, ErrorCode code);

    // See above. If our side has not ended: resets with kCancel. If it has and the peer's has not:
    // RST_STREAM(NO_ERROR) after the last queued byte.
    void release(StreamId id);

    // ---- connection

    void ping(std::uint64_t payload);

    // ---- state

    bool has_peer_settings() const noexcept { return has_peer_settings_; }  // the handshake is over
    bool is_closed() const noexcept { return is_closed_; }  // feed() would return kClose
    ErrorCode close_code() const noexcept { return close_code_; }
    // A constant text for logs, "" while open.
    std::string_view close_reason() const noexcept { return close_reason_; }
    bool is_open(StreamId id) const noexcept;               // known and not closed on the wire
    std::size_t pending_bytes(StreamId id) const noexcept;  // queued payload of one stream
    std::size_t pending_bytes() const noexcept { return pending_bytes_; }  // of all streams
    // Of these: streams that are complete and released, whose payload waits for the peer alone.
    std::uint32_t unread_answers() const noexcept { return unread_answers_; }
    std::size_t unread_answer_bytes() const noexcept { return unread_answer_bytes_; }
    // Not yet released, or not yet done on the wire.
    std::uint32_t streams() const noexcept { return streams_.count(); }
    // What the peer lets us open.
    std::uint32_t peer_streams_max() const noexcept { return peer_streams_max_; }
    Role role() const noexcept { return role_; }
    std::size_t memory_bytes() const noexcept;  // of this session, its tables and queues

  private:
    enum class ClosedHow : std::uint8_t { kForgotten, kEnded, kResetByPeer, kResetByUs };
    enum class DrainStep : std::uint8_t { kNone, kAnnounced, kFinal };
    enum class Tell : bool { kNo, kYes };

    // The DATA frame whose payload is being delivered.
    struct DataFrame {
        std::uint32_t left = 0;  // bytes of the frame still to come, padding included
        StreamId stream = 0;
        std::uint8_t padding = 0;
        bool is_active = false;
        bool needs_padding_length = false;
        bool is_discarded = false;
        bool ends_stream = false;
    };

    // What the state of its stream says about a header block, before it is decoded.
    struct Verdict {
        bool ignored = false;
        ErrorCode refusal = ErrorCode::kNoError;  // else: the stream error to answer with
    };

    // Input (session_input.cc, session_control.cc).
    void take_preface(std::string_view& bytes);
    void take_frame(std::string_view& bytes);
    const char* gather(std::string_view& bytes, std::size_t size);
    bool begin_frame();
    void on_frame(std::string_view payload);
    void begin_data();
    void take_data(std::string_view& bytes);
    void deliver_data(std::string_view piece, bool is_last);
    bool check_content(std::uint32_t size);
    void on_settings_frame(std::string_view payload);
    bool apply_setting(Setting id, std::uint32_t value);
    void apply_initial_window(std::uint32_t value);
    void on_ping_frame(std::string_view payload);
    bool finish_drain(std::uint64_t ping_payload);
    void on_goaway_frame(std::string_view payload);
    void on_window_update_frame(std::string_view payload);
    void on_rst_stream_frame(std::string_view payload);
    void on_priority_frame(std::string_view payload);

    // Header blocks (session_headers.cc).
    void on_headers_frame(std::string_view payload);
    void on_continuation_frame(std::string_view payload);
    void on_header_block(std::string_view block);
    Verdict judge_request_stream();
    Verdict judge_response_stream();
    Verdict judge_closed_stream(ClosedHow how);
    void on_request(std::string_view block, std::uint64_t tag);
    void on_response(std::string_view block);
    void deliver_headers(Stream& stream, HeaderBlock& block, bool end_stream);
    void refuse_too_large(StreamId id);

    // Stream state (session_streams.cc).
    Stream& add_stream(StreamId id);
    void erase_stream(Stream& stream);
    void settle(Stream& stream, Tell tell);
    void close_stream(Stream& stream, ClosedHow how, ErrorCode code, Tell tell);
    void stream_error(StreamId id, ErrorCode code);
    void remember_closed(StreamId id, ClosedHow how) noexcept;
    ClosedHow recall_closed(StreamId id) const noexcept;
    bool is_idle(StreamId id) const noexcept;
    void grant_connection(std::uint32_t bytes);

    // Output (session_output.cc).
    void connection_error(ErrorCode code, const char* reason);
    bool spend(Flood kind);
    void write_frame(FrameType type, std::uint8_t flags, StreamId id, std::string_view payload);
    void write_settings();
    void write_goaway(StreamId last_id, ErrorCode code, std::string_view debug);
    void write_rst_stream(StreamId id, ErrorCode code);
    void write_window_update(StreamId id, std::uint32_t increment);
    void write_headers(StreamId id, std::span<const HeaderField> fields, bool end_stream);
    void write_long_headers(StreamId id, std::span<const HeaderField> fields, std::uint8_t flags,
                            std::size_t bound);
    void write_data_header(StreamId id, std::uint32_t length, bool end_stream);
    void on_sent() noexcept;
    void unpark(Stream& stream) noexcept;
    void drop_pending(Stream& stream) noexcept;
    void note_answer(PendingOutput& output) noexcept;
    void forget_answer(const PendingOutput& output) noexcept;
    void produce_frame(PendingOutput& output);
    void finish_pending(Stream& stream);
    void tell_writable(Stream& stream);
    void tell_all_writable();
    bool fits_now(const Stream& stream, std::size_t size) const noexcept;
    bool is_above_limits(const Stream& stream) const noexcept;

    const SessionConfig& config_;
    SessionHandler& handler_;
    OutputBuffer& out_;
    Scratch* scratch_ = nullptr;  // lent by the feed() that is running
    TimeNs now_ = 0;
    HpackDecoder decoder_;
    HpackEncoder encoder_;
    StreamTable streams_;
    PendingQueue queue_;
    std::size_t pending_bytes_ = 0;  // of all streams
    std::size_t unread_answer_bytes_ = 0;
    std::uint32_t unread_answers_ = 0;
    FloodGuard flood_;
    KeepaliveGuard keepalive_;

    std::string partial_;        // the part of a frame's header or payload that has come
    std::string header_block_;   // fragments of a block, until END_HEADERS
    FrameHeader frame_;          // the current one, if has_frame_
    FrameHeader headers_frame_;  // the HEADERS frame that the block belongs to
    DataFrame data_;

    std::int32_t send_window_ = kDefaultWindowBytes;
    std::int32_t receive_window_ = kDefaultWindowBytes;
    std::uint32_t consumed_ = 0;  // of the connection window, not yet granted again
    std::uint32_t peer_initial_window_ = kDefaultWindowBytes;
    std::uint32_t peer_streams_max_ = UINT32_MAX;

    StreamId last_peer_id_ = 0;                      // highest stream that the peer has opened
    StreamId next_id_ = 1;                           // of the client's streams
    StreamId refuse_above_ = kStreamIdMax;           // after our GOAWAY
    StreamId peer_last_id_ = kStreamIdMax;           // from the peer's GOAWAY
    std::array<std::uint32_t, 16> recent_closed_{};  // id and ClosedHow, a ring
    std::uint8_t recent_closed_next_ = 0;

    std::uint8_t preface_left_ = 0;
    std::uint8_t continuations_ = 0;
    Role role_;
    DrainStep drain_ = DrainStep::kNone;
    bool has_frame_ : 1 = false;
    bool expects_continuation_ : 1 = false;
    bool has_peer_settings_ : 1 = false;
    bool is_closed_ : 1 = false;
    bool has_peer_goaway_ : 1 = false;
    bool depends_on_itself_ : 1 = false;    // the HEADERS frame's priority
    bool is_blocked_on_total_ : 1 = false;  // some stream waits for pending_bytes_ to fall
    ErrorCode close_code_ = ErrorCode::kNoError;
    const char* close_reason_ = "";
};

}  // namespace sluice::http2
