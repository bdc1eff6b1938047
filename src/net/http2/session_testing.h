// A session with everything around it that a test needs: a handler that writes down its events, an
// output buffer, scratch memory and a clock; and frames made by hand.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http2/session.h"

namespace sluice::http2 {

// Frames as bytes.
std::string frame(FrameType type, std::uint8_t flags, StreamId stream, std::string_view payload);
std::string settings_frame(std::initializer_list<std::pair<Setting, std::uint32_t>> settings);
std::string window_update_frame(StreamId stream, std::uint32_t increment);
std::string rst_frame(StreamId stream, ErrorCode code);
std::string ping_frame(std::uint64_t payload, bool ack = false);
// HEADERS with END_HEADERS; each header a literal without indexing.
std::string headers_frame(StreamId stream,
                          const std::vector<std::pair<std::string, std::string>>& headers,
                          bool end_stream);
// A well-formed gRPC request's HEADERS.
std::string request_frame(StreamId stream, bool end_stream);
// The client's preface and an empty SETTINGS.
std::string client_start();

// One frame that a session has written.
struct SentFrame {
    FrameHeader header;
    std::string payload;
};

class SessionBox final : public SessionHandler {
  public:
    explicit SessionBox(Role role, SessionConfig config = {});
    ~SessionBox() override;

    FeedResult feed(std::string_view bytes) { return session.feed(bytes, now, scratch); }
    // Feeds, then produces, and takes the output.
    std::vector<SentFrame> exchange(std::string_view bytes);
    // All bytes of the output buffer, which is empty afterwards.
    std::string take_bytes();
    std::vector<SentFrame> take_frames();
    // Takes the events: "headers 1 :method=GET ...;", "data 1 abc;", "end 1;", ...
    std::string take_events() { return std::exchange(events, {}); }

    // What the handler does besides writing events down; may be empty.
    std::function<void(StreamId, HeaderBlock&, bool end_stream)> when_headers;
    std::function<void(StreamId, std::string_view, bool end_stream)> when_data;
    std::function<void(StreamId)> when_writable;
    bool logs_data = true;        // writes payload into the events
    bool consumes = true;         // calls consume() for all it gets
    bool releases_closed = true;  // calls release() in on_closed
    std::string events;

    SessionConfig config;
    OutputBuffer out;
    Scratch scratch;
    TimeNs now = kSecond;
    Session session;

  private:
    void on_headers(StreamId id, void* user, HeaderBlock& block, bool end_stream) override;
    void on_data(StreamId id, void* user, std::string_view bytes, bool end_stream) override;
    void on_writable(StreamId id, void* user) override;
    void on_closed(StreamId id, void* user, ErrorCode code) override;
    void on_goaway(StreamId last_id, ErrorCode code, std::string_view debug) override;
    void on_ping_ack(std::uint64_t payload) override;
};

std::vector<SentFrame> split_frames(std::string_view bytes);
// "HEADERS 1 END_STREAM; RST_STREAM 1 CANCEL; ...": for failure messages and comparisons.
std::string describe(const std::vector<SentFrame>& frames);

}  // namespace sluice::http2
