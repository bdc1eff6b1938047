// States, flow control, closing and draining of a server's session, and of the client's.
#include "net/http2/session.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/http2/session_testing.h"

namespace sluice::http2 {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

const HeaderField kOkHeaders[] = {HeaderField::text(":status", "200")};
const HeaderField kOkTrailers[] = {HeaderField::text("grpc-status", "0")};

class ServerTest : public testing::Test {
  protected:
    explicit ServerTest(SessionConfig config = {}) : box(Role::kServer, config) {
        EXPECT_EQ(describe(box.exchange(client_start())),
                  "SETTINGS 0; WINDOW_UPDATE 0 983041; SETTINGS 0 ACK; ");
    }
    std::string exchange(std::string_view bytes) { return describe(box.exchange(bytes)); }
    SendResult send(StreamId id, std::string_view bytes, bool end_stream) {
        const DataPiece pieces[] = {DataPiece::copy(bytes)};
        return box.session.send_data(id, pieces, end_stream);
    }
    std::string produce() {
        box.session.produce(box.now);
        return describe(box.take_frames());
    }
    // Opens a stream whose request is complete and sends the response's headers.
    void open_answered(StreamId id) {
        box.feed(request_frame(id, true));
        box.session.send_headers(id, kOkHeaders, false);
        box.take_bytes();
        box.take_events();
    }

    SessionBox box;
};

TEST_F(ServerTest, UnaryCall) {
    box.when_data = [&](StreamId id, std::string_view, bool end_stream) {
        if (!end_stream) return;
        box.session.send_headers(id, kOkHeaders, false);
        send(id, "answer", false);
        box.session.send_trailers(id, kOkTrailers);
        box.session.release(id);
    };
    const std::string call =
        request_frame(1, false) + frame(FrameType::kData, kFlagEndStream, 1, "q");
    EXPECT_EQ(exchange(call), "HEADERS 1; DATA 1 6; HEADERS 1 END; ");
    EXPECT_EQ(box.take_events(),
              "headers 1 :method=POST :scheme=http :path=/s/m :authority=a "
              "content-type=application/grpc te=trailers; data 1 q END; ");
    EXPECT_EQ(box.session.streams(), 0u);
}

TEST_F(ServerTest, SameEventsHoweverTheInputIsSplit) {
    std::string input = request_frame(1, false);
    input += frame(FrameType::kData, kFlagPadded, 1,
                   std::string("\x03"
                               "abc\0\0\0",
                               7));
    input += request_frame(3, true) + ping_frame(7);
    input += frame(FrameType::kData, kFlagPadded | kFlagEndStream, 1,
                   std::string("\x01"
                               "d\0",
                               3));
    input += rst_frame(3, ErrorCode::kCancel) + frame(FrameType{77}, 0, 0, "unknown");
    const std::string whole = client_start() + input;
    const auto run = [&](std::size_t first, std::size_t step) {
        SessionBox one(Role::kServer);
        std::string data;
        one.when_data = [&](StreamId, std::string_view bytes, bool) { data += bytes; };
        for (std::size_t at = 0; at < whole.size(); at += at == 0 ? first : step)
            one.feed(std::string_view(whole).substr(at, at == 0 ? first : step));
        std::string events;  // parts of DATA may be cut differently
        for (std::size_t at = 0; at < one.events.size();) {
            const std::size_t end = one.events.find("; ", at) + 2;
            const std::string event = one.events.substr(at, end - at);
            if (!event.starts_with("data") || event.ends_with("END; "))
                events += event.substr(0, 6);
            at = end;
        }
        one.session.reset(1, ErrorCode::kCancel);
        one.session.release(1);
        return events + data + describe(one.take_frames());
    };
    const std::string expected = run(whole.size(), 1);
    EXPECT_THAT(expected, HasSubstr("abcd"));
    for (std::size_t first = 1; first < whole.size(); ++first)
        ASSERT_EQ(run(first, whole.size()), expected) << "split at " << first;
    EXPECT_EQ(run(1, 1), expected);
}

TEST_F(ServerTest, InterleavedStreamsAndALongLivedOne) {
    box.feed(request_frame(1, false));  // a watch
    for (StreamId id = 3; id < 2'003; id += 2) {
        box.feed(request_frame(id, false));
        box.feed(frame(FrameType::kData, 0, 1, "w"));
        box.feed(frame(FrameType::kData, kFlagEndStream, id, "x"));
        EXPECT_THAT(box.take_events(), EndsWith(fmt::format("data 1 w; data {} x END; ", id)));
        box.session.send_headers(id, kOkHeaders, true);
        box.session.release(id);
        ASSERT_EQ(box.session.streams(), 1u);
    }
    EXPECT_LE(box.session.memory_bytes(), sizeof(Session) + 4 * sizeof(Stream) + 600);
    box.session.release(1);
    EXPECT_THAT(describe(box.take_frames()), EndsWith("RST_STREAM 1 CANCEL; "));
}

TEST_F(ServerTest, ResetByThePeerCountsUntilTheHandlerReleases) {
    box.config.streams_max = 2;
    box.releases_closed = false;
    exchange(request_frame(1, true) + request_frame(3, true));
    exchange(rst_frame(1, ErrorCode::kCancel) + rst_frame(3, ErrorCode::kCancel));
    EXPECT_THAT(box.take_events(), EndsWith("closed 1 CANCEL; closed 3 CANCEL; "));
    EXPECT_EQ(exchange(request_frame(5, true)), "RST_STREAM 5 REFUSED_STREAM; ");
    EXPECT_EQ(box.session.send_headers(1, kOkHeaders, true), SendResult::kClosed);
    box.session.release(1);
    EXPECT_EQ(exchange(request_frame(7, true)), "");
    EXPECT_THAT(box.take_events(), StartsWith("headers 7 "));
    box.session.release(3);
    box.session.release(7);
}

TEST_F(ServerTest, ReleaseBeforeTheRequestEndsSaysSo) {
    exchange(request_frame(1, false) + request_frame(3, false));
    box.session.send_headers(1, kOkHeaders, true);
    box.session.release(1);
    EXPECT_EQ(produce(), "HEADERS 1 END; RST_STREAM 1 NO_ERROR; ");
    box.session.release(3);
    EXPECT_EQ(produce(), "RST_STREAM 3 CANCEL; ");
    // What was on its way is swallowed, and its window given back.
    EXPECT_EQ(exchange(frame(FrameType::kData, 0, 1, "late") + frame(FrameType::kData, 0, 3, "l")),
              "");
    EXPECT_EQ(exchange(headers_frame(3, {{"x", "y"}}, true)), "");
    EXPECT_EQ(box.session.streams(), 0u);
}

TEST_F(ServerTest, DataOnAStreamThatEndedIsAStreamError) {
    open_answered(1);
    EXPECT_EQ(exchange(frame(FrameType::kData, 0, 1, "x")), "RST_STREAM 1 STREAM_CLOSED; ");
    EXPECT_EQ(box.take_events(), "closed 1 STREAM_CLOSED; ");
    EXPECT_EQ(exchange(frame(FrameType::kData, 0, 1, "x")), "") << "once is enough";
}

TEST_F(ServerTest, SendWindowsAreKeptAndTrailersWait) {
    exchange(settings_frame({{Setting::kInitialWindowSize, 10}}));
    open_answered(1);
    EXPECT_EQ(send(1, "0123456789abcdef", false), SendResult::kOk);
    box.session.send_trailers(1, kOkTrailers);
    box.session.release(1);
    EXPECT_EQ(produce(), "DATA 1 10; ");
    EXPECT_EQ(box.session.pending_bytes(), 6u);
    EXPECT_FALSE(box.session.has_output_waiting()) << "it waits for the window";
    EXPECT_EQ(exchange(window_update_frame(1, 4)), "DATA 1 4; ");
    EXPECT_EQ(exchange(settings_frame({{Setting::kInitialWindowSize, 1}})), "SETTINGS 0 ACK; ")
        << "the window is negative now";
    EXPECT_EQ(exchange(window_update_frame(1, 9)), "");
    EXPECT_EQ(exchange(window_update_frame(1, 3)), "DATA 1 2; HEADERS 1 END; ");
    EXPECT_EQ(box.session.streams(), 0u);
}

TEST_F(ServerTest, SettingsThatOverflowAWindowEndTheConnection) {
    open_answered(1);
    box.feed(window_update_frame(1, 1'000));
    EXPECT_EQ(exchange(settings_frame({{Setting::kInitialWindowSize, 0x7fffffff}})),
              "GOAWAY 0 1 FLOW_CONTROL_ERROR stream window overflows; ");
}

TEST_F(ServerTest, ConnectionWindowIsSharedInTurn) {
    exchange(settings_frame({{Setting::kInitialWindowSize, 1 << 20}}));
    const std::string big(100'000, 'x');
    for (StreamId id : {1u, 3u}) {
        open_answered(id);
        send(id, big, true);
    }
    EXPECT_EQ(produce(), "DATA 1 16384; DATA 3 16384; DATA 1 16384; DATA 3 16383; ");
    EXPECT_TRUE(box.session.pending_bytes(1) == 100'000u - 2 * 16'384);
    EXPECT_EQ(exchange(window_update_frame(0, 20'000)), "DATA 1 16384; DATA 3 3616; ");
    for (StreamId id : {1u, 3u}) box.session.release(id);
}

TEST_F(ServerTest, SmallResponseOvertakesALargeOne) {
    exchange(settings_frame({{Setting::kInitialWindowSize, 1 << 30}}) +
             window_update_frame(0, 1 << 30));
    open_answered(1);
    send(1, std::string(1'000'000, 'x'), true);
    open_answered(3);
    EXPECT_EQ(send(3, "small", true), SendResult::kOk);
    EXPECT_THAT(produce(), StartsWith("DATA 3 5 END; DATA 1 16384; "));
    // Also when the output is full: two streams take turns.
    box.session.produce(box.now);
    open_answered(5);
    box.session.produce(box.now);
    EXPECT_GE(box.out.size(), box.config.output_turn_bytes);
    send(5, "small", true);
    EXPECT_EQ(box.session.pending_bytes(5), 5u);
    const std::size_t before = box.take_frames().size();
    EXPECT_LE(before, 9u) << "a turn is bounded";
    EXPECT_THAT(produce(), StartsWith("DATA 1 16384; DATA 5 5 END; DATA 1 16384; "));
    for (StreamId id : {1u, 3u}) box.session.release(id);  // 5 was told that it is closed
}

TEST_F(ServerTest, OutputOfATurnIsBounded) {
    exchange(settings_frame({{Setting::kInitialWindowSize, 1 << 30}}) +
             window_update_frame(0, 1 << 30));
    open_answered(1);
    EXPECT_EQ(send(1, std::string(10'000'000, 'x'), false), SendResult::kBlocked);
    std::size_t sent = 0;
    unsigned turns = 0;
    while (box.session.pending_bytes() > 0) {
        EXPECT_TRUE(box.session.has_output_waiting());
        box.session.produce(box.now);
        EXPECT_LE(box.out.size(), box.config.output_turn_bytes + 16'384 + 9);
        for (const auto& [header, payload] : box.take_frames()) sent += header.length;
        ++turns;
    }
    EXPECT_EQ(sent, 10'000'000u);
    EXPECT_GE(turns, 70u);
    EXPECT_EQ(box.take_events(), "writable 1; ");
    box.session.release(1);
}

TEST_F(ServerTest, SharedBytesAreNotCopied) {
    open_answered(1);
    const SharedBytes event =
        SharedBytes::make(5'000, [](char* to) { std::fill_n(to, 5'000, 'e'); });
    const DataPiece pieces[] = {DataPiece::copy("12345"), DataPiece::shared(event)};
    EXPECT_EQ(box.session.send_data(1, pieces, true), SendResult::kOk);
    iovec parts[8];
    const unsigned count = box.out.gather(parts);
    ASSERT_EQ(count, 2u);
    EXPECT_EQ(parts[1].iov_base, event.view().data());
    EXPECT_EQ(describe(box.take_frames()), "DATA 1 5005 END; ");
    box.session.release(1);
}

TEST_F(ServerTest, BackPressureOfTheWholeConnection) {
    box.config.connection_pending_bytes = 1'000;
    box.config.stream_pending_bytes = 600;
    exchange(settings_frame({{Setting::kInitialWindowSize, 0}}));
    for (StreamId id : {1u, 3u, 5u}) open_answered(id);
    const std::string bytes(500, 'x');
    EXPECT_EQ(send(1, bytes, false), SendResult::kOk);
    EXPECT_EQ(send(3, bytes, false), SendResult::kBlocked) << "1,000 bytes wait in all";
    EXPECT_EQ(send(5, "y", false), SendResult::kBlocked);
    EXPECT_EQ(exchange(window_update_frame(3, 500)), "DATA 3 500; ");
    EXPECT_EQ(box.take_events(), "") << "more than half still waits";
    EXPECT_EQ(exchange(window_update_frame(1, 100)), "DATA 1 100; ");
    EXPECT_EQ(box.take_events(), "writable 3; writable 5; ");
    for (StreamId id : {1u, 3u, 5u}) box.session.release(id);
    EXPECT_EQ(box.session.pending_bytes(), 0u);
}

TEST_F(ServerTest, WindowsOpenWhenTheApplicationHasConsumed) {
    box.consumes = false;
    exchange(request_frame(1, false));
    const std::string part(16'384, 'x');
    for (int i = 0; i < 16; ++i) EXPECT_EQ(exchange(frame(FrameType::kData, 0, 1, part)), "");
    box.session.consume(1, 131'071);
    EXPECT_EQ(produce(), "");
    box.session.consume(1, 1);
    EXPECT_EQ(produce(), "WINDOW_UPDATE 1 131072; ");
    for (int i = 0; i < 8; ++i) EXPECT_EQ(exchange(frame(FrameType::kData, 0, 1, part)), "");
    EXPECT_EQ(exchange(frame(FrameType::kData, 0, 1, "x")), "RST_STREAM 1 FLOW_CONTROL_ERROR; ");
    EXPECT_EQ(box.session.streams(), 0u);
}

TEST_F(ServerTest, UnconsumedPayloadReturnsWithTheStream) {
    box.consumes = false;
    const std::string part(16'384, 'x');
    for (StreamId id = 1; id < 200; id += 2) {
        std::string input = request_frame(id, false);
        for (int i = 0; i < 2; ++i) input += frame(FrameType::kData, 0, id, part);
        ASSERT_EQ(box.feed(input), FeedResult::kContinue) << id;
        box.session.reset(id, ErrorCode::kCancel);
        box.session.release(id);
    }
    EXPECT_EQ(box.session.streams(), 0u);
}

TEST_F(ServerTest, ConnectionWindowIsEnforced) {
    box.consumes = false;
    const std::string part(16'384, 'x');
    StreamId id = 1;
    for (std::size_t sent = 0; sent < box.config.connection_window_bytes; sent += 4 * part.size()) {
        box.feed(request_frame(id, false));
        for (int i = 0; i < 4; ++i) box.feed(frame(FrameType::kData, 0, id, part));
        id += 2;
    }
    ASSERT_FALSE(box.session.is_closed());
    box.feed(request_frame(id, false));
    EXPECT_EQ(box.feed(frame(FrameType::kData, 0, id, "x")), FeedResult::kClose);
    EXPECT_EQ(box.session.close_code(), ErrorCode::kFlowControlError);
}

TEST_F(ServerTest, ContentLengthIsHeldAgainstThePayload) {
    const auto post = [](StreamId id, std::string length, bool end) {
        return headers_frame(
            id,
            {{":method", "POST"}, {":scheme", "http"}, {":path", "/"}, {"content-length", length}},
            end);
    };
    EXPECT_EQ(exchange(post(1, "2", true)), "RST_STREAM 1 PROTOCOL_ERROR; ");
    EXPECT_EQ(exchange(post(3, "2", false) + frame(FrameType::kData, 0, 3, "abc")),
              "RST_STREAM 3 PROTOCOL_ERROR; ");
    EXPECT_EQ(exchange(post(5, "2", false) + frame(FrameType::kData, kFlagEndStream, 5, "a")),
              "RST_STREAM 5 PROTOCOL_ERROR; ");
    EXPECT_EQ(exchange(post(7, "2", false) + headers_frame(7, {{"x", "y"}}, true)),
              "RST_STREAM 7 PROTOCOL_ERROR; ");
    EXPECT_EQ(exchange(post(9, "2x", false)), "RST_STREAM 9 PROTOCOL_ERROR; ");
    box.take_events();
    EXPECT_EQ(exchange(post(11, "2", false) + frame(FrameType::kData, kFlagEndStream, 11, "ab")),
              "");
    EXPECT_THAT(box.take_events(), EndsWith("data 11 ab END; "));
    box.session.release(11);
}

TEST_F(ServerTest, HeaderListOverTheLimitIsAnswered431) {
    const std::vector<std::pair<std::string, std::string>> fields = {
        {":method", "GET"},
        {":scheme", "http"},
        {":path", "/"},
        {"x", std::string(9'000, 'x')},
        {"y", std::string(7'200, 'y')}};
    EXPECT_EQ(exchange(headers_frame(1, fields, false)), "HEADERS 1 END; RST_STREAM 1 NO_ERROR; ");
    EXPECT_EQ(exchange(request_frame(3, true)), "") << "the connection goes on";
    EXPECT_THAT(box.take_events(), StartsWith("headers 3 "));
    box.session.release(3);
}

TEST_F(ServerTest, BlockTagComesBackUntilTheTableChanges) {
    std::vector<std::uint64_t> tags;
    box.when_headers = [&](StreamId id, HeaderBlock& block, bool) {
        tags.push_back(block.tag());
        EXPECT_EQ(block.find(HeaderId::kPath)->value, "/s/m");
        block.set_tag(42);
        box.session.send_headers(id, kOkHeaders, true);
        box.session.release(id);
    };
    const std::string insert = std::string("\x83\x86\x44\x04/s/m", 8);
    const std::string indexed = "\x83\x86\xbe";
    StreamId id = 1;
    for (const std::string& block : {insert, indexed, indexed, indexed, insert, indexed}) {
        exchange(frame(FrameType::kHeaders, kFlagEndHeaders | kFlagEndStream, id, block));
        id += 2;
    }
    EXPECT_THAT(tags, testing::ElementsAre(0, 0, 42, 42, 0, 0));
}

TEST_F(ServerTest, DrainAnnouncesThenRefuses) {
    exchange(request_frame(1, true));
    box.session.drain(box.now);
    const auto frames = box.take_frames();
    ASSERT_EQ(describe(frames), "GOAWAY 0 2147483647 NO_ERROR graceful_stop; PING 0; ");
    EXPECT_FALSE(box.session.drained());
    exchange(request_frame(3, true));  // it was on its way
    EXPECT_EQ(exchange(frame(FrameType::kPing, kFlagAck, 0, frames[1].payload)),
              "GOAWAY 0 3 NO_ERROR graceful_stop; ");
    EXPECT_EQ(exchange(request_frame(5, true)), "RST_STREAM 5 REFUSED_STREAM; ");
    for (StreamId id : {1u, 3u}) {
        EXPECT_FALSE(box.session.drained());
        box.session.send_headers(id, kOkHeaders, true);
        box.session.release(id);
    }
    EXPECT_TRUE(box.session.drained());
    EXPECT_THAT(box.events, testing::Not(HasSubstr("pong")));
}

TEST_F(ServerTest, TerminateTellsEveryStreamOnce) {
    exchange(request_frame(1, true) + request_frame(3, false) + request_frame(5, true));
    box.session.reset(1, ErrorCode::kInternalError);  // told by the command itself
    box.take_events();
    box.releases_closed = false;
    box.session.terminate(ErrorCode::kInternalError, "why");
    EXPECT_EQ(box.take_events(), "closed 3 INTERNAL_ERROR; closed 5 INTERNAL_ERROR; ");
    EXPECT_THAT(produce(), EndsWith("GOAWAY 0 5 INTERNAL_ERROR why; "));
    EXPECT_EQ(box.feed(request_frame(7, true)), FeedResult::kClose);
    EXPECT_EQ(box.session.send_headers(3, kOkHeaders, true), SendResult::kClosed);
    box.session.terminate(ErrorCode::kNoError);
    EXPECT_EQ(box.take_events(), "");
    for (StreamId id : {1u, 3u, 5u}) box.session.release(id);
}

TEST_F(ServerTest, IdleConnectionIsSmall) {
    box.when_headers = [&](StreamId id, HeaderBlock&, bool) {
        box.session.send_headers(id, kOkHeaders, true);
        box.session.release(id);
    };
    box.session.trim();
    EXPECT_LE(box.session.memory_bytes(), 600u);
    EXPECT_EQ(box.session.memory_bytes(), sizeof(Session));
    const std::string request = request_frame(1, true);
    box.feed(std::string_view(request).substr(0, 20));
    EXPECT_GT(box.session.memory_bytes(), sizeof(Session)) << "half a frame is kept";
    box.feed(std::string_view(request).substr(20));
    box.take_bytes();
    box.session.trim();
    EXPECT_EQ(box.session.memory_bytes(), sizeof(Session));
}

TEST_F(ServerTest, LongHeadersAreContinued) {
    exchange(request_frame(1, true));
    const std::string value(40'000, 'v');
    const HeaderField fields[] = {HeaderField::text(":status", "200"),
                                  HeaderField::text("x", value)};
    box.session.send_headers(1, fields, true);
    const auto frames = box.take_frames();
    EXPECT_EQ(describe(frames), "HEADERS 1 END; CONTINUATION 1; CONTINUATION 1; ");
    EXPECT_FALSE(frames[0].header.has(kFlagEndHeaders));
    EXPECT_FALSE(frames[1].header.has(kFlagEndHeaders));
    EXPECT_TRUE(frames[2].header.has(kFlagEndHeaders));
    box.session.release(1);
}

TEST(Session, ClientAndServerTalk) {
    SessionBox client(Role::kClient);
    SessionBox server(Role::kServer);
    server.when_data = [&](StreamId id, std::string_view, bool end_stream) {
        if (!end_stream) return;
        const DataPiece pieces[] = {DataPiece::copy("pong")};
        server.session.send_headers(id, kOkHeaders, false);
        server.session.send_data(id, pieces, false);
        server.session.send_trailers(id, kOkTrailers);
        server.session.release(id);
    };
    const HeaderField request[] = {
        HeaderField::text(":method", "POST"), HeaderField::text(":scheme", "http"),
        HeaderField::text(":path", "/s/m"), HeaderField::text(":authority", "a")};
    const StreamId id = client.session.open(request, false);
    ASSERT_EQ(id, 1u);
    const DataPiece pieces[] = {DataPiece::copy("ping")};
    client.session.send_data(id, pieces, true);
    for (int i = 0; i < 3; ++i) {
        server.feed(client.take_bytes());
        client.feed(server.take_bytes());
    }
    EXPECT_EQ(
        client.take_events(),
        "headers 1 :status=200; data 1 pong; trailers 1 grpc-status=0 END; closed 1 NO_ERROR; ");
    EXPECT_EQ(client.session.peer_streams_max(), server.config.streams_max);
    EXPECT_EQ(client.session.streams() + server.session.streams(), 0u);
}

TEST(Session, ClientObeysGoaway) {
    SessionBox client(Role::kClient);
    const HeaderField request[] = {HeaderField::text(":method", "GET")};
    for (StreamId id : {1u, 3u}) EXPECT_EQ(client.session.open(request, true), id);
    client.feed(settings_frame({{Setting::kMaxConcurrentStreams, 2}}));
    EXPECT_EQ(client.session.open(request, true), 0u) << "the peer's limit";
    client.feed(frame(FrameType::kGoaway, 0, 0, std::string("\0\0\0\1\0\0\0\0bye", 11)));
    EXPECT_EQ(client.take_events(), "goaway 1 NO_ERROR bye; closed 3 REFUSED_STREAM; ");
    EXPECT_EQ(client.session.open(request, true), 0u) << "nothing new after GOAWAY";
    client.feed(headers_frame(1, {{":status", "100"}}, false) +
                headers_frame(1, {{":status", "200"}}, true));
    EXPECT_EQ(client.take_events(),
              "headers 1 :status=100; headers 1 :status=200 END; closed 1 NO_ERROR; ");
}

}  // namespace
}  // namespace sluice::http2
