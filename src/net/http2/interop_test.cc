// Our session against nghttp2's, both ways, with random requests, sizes, windows, resets and splits
// of the byte stream. nghttp2 checks every byte that ours sends.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "net/http2/nghttp2_testing.h"
#include "net/http2/session_testing.h"

namespace sluice::http2 {
namespace {

class Interop : public testing::TestWithParam<unsigned> {
  protected:
    std::size_t below(std::size_t limit) { return random_() % limit; }

    // Moves bytes both ways in random pieces until nothing moves any more.
    void pump(SessionBox& ours, NghttpPeer& theirs) {
        for (unsigned quiet = 0; quiet < 3;) {
            ours.session.produce(ours.now);
            const std::string to_theirs = ours.take_bytes();
            feed_in_pieces(to_theirs, [&](std::string_view part) { theirs.feed(part); });
            const std::string to_ours = theirs.take(1 + below(100'000));
            feed_in_pieces(to_ours, [&](std::string_view part) {
                ASSERT_EQ(ours.feed(part), FeedResult::kContinue) << ours.session.close_reason();
            });
            ours.now += kMillisecond;
            quiet = to_theirs.empty() && to_ours.empty() ? quiet + 1 : 0;
        }
    }
    template <class Feed>
    void feed_in_pieces(std::string_view bytes, Feed&& feed) {
        while (!bytes.empty()) {
            const std::size_t size = std::min(bytes.size(), 1 + below(below(4) == 0 ? 20 : 50'000));
            feed(bytes.substr(0, size));
            bytes.remove_prefix(size);
        }
    }

    std::mt19937 random_{GetParam()};
};

// Answers with the bytes that it got.
class EchoServer {
  public:
    EchoServer(SessionBox& ours, SharedFieldId ok, SharedFieldId type)
        : ours_(ours), ok_(ok), type_(type) {
        ours.when_headers = [this](StreamId id, HeaderBlock&, bool end_stream) {
            if (end_stream) answer(id);
        };
        ours.when_data = [this](StreamId id, std::string_view bytes, bool end_stream) {
            open_[id].body += bytes;
            if (end_stream) answer(id);
        };
    }

  private:
    struct Call {
        std::string body;
        bool answered = false;
    };

    void answer(StreamId id) {
        Call& call = open_[id];
        if (call.answered) return;
        call.answered = true;
        const HeaderField headers[] = {HeaderField::text(":status", "200"),
                                       HeaderField::shared(type_)};
        const HeaderField trailers[] = {HeaderField::shared(ok_)};
        const SharedBytes body = SharedBytes::copy_of(call.body);
        const std::size_t half = call.body.size() / 2;
        const DataPiece pieces[] = {DataPiece::copy(std::string_view(call.body).substr(0, half)),
                                    DataPiece::shared(body, body.view().substr(half))};
        ours_.session.send_headers(id, headers, false);
        ours_.session.send_data(id, pieces, false);
        ours_.session.send_trailers(id, trailers);
        ours_.session.release(id);
    }

    SessionBox& ours_;
    const SharedFieldId ok_, type_;
    std::map<StreamId, Call> open_;
};

TEST_P(Interop, NghttpClientWithOurServer) {
    SharedFields shared;
    const auto ok = shared.add("grpc-status", "0");
    const auto type = shared.add("content-type", "application/grpc");
    SessionConfig config;
    config.shared_fields = &shared;
    config.stream_window_bytes = static_cast<std::uint32_t>(1'000 + below(200'000));
    config.connection_window_bytes = static_cast<std::uint32_t>(65'535 + below(200'000));
    config.output_turn_bytes = static_cast<std::uint32_t>(16'384 + below(100'000));
    SessionBox ours(Role::kServer, config);
    NghttpPeer theirs(false, static_cast<std::uint32_t>(1 + below(100'000)));
    ours.logs_data = false;

    EchoServer server(ours, ok, type);
    std::map<std::int32_t, std::string> sent;
    for (int round = 0; round < 40; ++round) {
        for (std::size_t i = below(8); i > 0; --i) {
            const std::size_t size = below(3) == 0 ? below(300'000) : below(500);
            std::string body(size, '\0');
            for (char& c : body) c = static_cast<char>(random_());
            const std::int32_t id = theirs.request(fmt::format("/s/m{}", below(50)), body);
            sent[id] = std::move(body);
            if (below(10) == 0) {
                theirs.feed({});
                ours.feed(theirs.take(1 + below(5'000)));
                theirs.reset(id, NGHTTP2_CANCEL);
                sent.erase(id);
            }
        }
        if (below(5) == 0) theirs.ping();
        pump(ours, theirs);
    }
    for (const auto& [id, body] : sent) {
        const NghttpPeer::Call& call = theirs.calls[id];
        ASSERT_TRUE(call.ended && call.closed) << "stream " << id << " seed " << GetParam();
        EXPECT_EQ(call.status, "200");
        EXPECT_EQ(call.trailer, "0");
        EXPECT_TRUE(call.received == body) << "stream " << id << " seed " << GetParam();
    }
    EXPECT_GT(sent.size(), 80u);
    EXPECT_FALSE(theirs.goaway);
    EXPECT_EQ(ours.session.streams(), 0u);
    EXPECT_EQ(ours.session.pending_bytes(), 0u);
}

TEST_P(Interop, OurClientWithNghttpServer) {
    SessionConfig config;
    config.stream_window_bytes = static_cast<std::uint32_t>(1'000 + below(200'000));
    SessionBox ours(Role::kClient, config);
    NghttpPeer theirs(true, static_cast<std::uint32_t>(1 + below(100'000)));
    ours.logs_data = false;
    ours.events.clear();
    std::map<StreamId, std::size_t> expected;
    std::map<StreamId, std::size_t> received;
    std::map<StreamId, bool> ended;
    ours.when_data = [&](StreamId id, std::string_view bytes, bool) {
        received[id] += bytes.size();
    };
    ours.when_headers = [&](StreamId id, HeaderBlock& block, bool end_stream) {
        if (block.is_trailers()) {
            EXPECT_TRUE(end_stream);
            EXPECT_EQ(block.find(HeaderId::kGrpcStatus)->value, "0");
            ended[id] = true;
        } else {
            EXPECT_EQ(block.find(HeaderId::kStatus)->value, "200");
        }
    };
    pump(ours, theirs);
    for (int round = 0; round < 40; ++round) {
        for (std::size_t i = below(8); i > 0; --i) {
            const std::string path = fmt::format("/s/m{}", below(50));
            const HeaderField request[] = {
                HeaderField::text(":method", "POST"), HeaderField::text(":scheme", "http"),
                HeaderField::text(":path", path), HeaderField::text(":authority", "test"),
                HeaderField::sensitive("token", "secret")};
            const StreamId id = ours.session.open(request, false);
            ASSERT_NE(id, 0u);
            const std::string body(below(3) == 0 ? below(300'000) : below(500), 'b');
            const DataPiece pieces[] = {DataPiece::copy(body)};
            ours.session.send_data(id, pieces, true);
            if (below(10) == 0) {
                ours.session.produce(ours.now);
                ours.session.release(id);  // cancels
            } else {
                expected[id] = body.size();
            }
        }
        pump(ours, theirs);
    }
    for (const auto& [id, size] : expected) {
        EXPECT_TRUE(ended[id]) << "stream " << id << " seed " << GetParam();
        EXPECT_EQ(received[id], size) << "stream " << id << " seed " << GetParam();
    }
    EXPECT_GT(expected.size(), 80u);
    EXPECT_EQ(ours.session.streams(), 0u);
    EXPECT_EQ(ours.session.pending_bytes(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Interop, testing::Range(1u, 21u));

}  // namespace
}  // namespace sluice::http2
