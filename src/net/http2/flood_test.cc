// Peers that send much that is cheap for them: each kind of flood ends with GOAWAY
// ENHANCE_YOUR_CALM at its limit, and honest traffic does not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/http2/session_testing.h"

namespace sluice::http2 {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

const HeaderField kOkHeaders[] = {HeaderField::text(":status", "200")};

class FloodTest : public testing::Test {
  protected:
    explicit FloodTest(SessionConfig config = {}) : box(Role::kServer, config) {
        box.exchange(client_start());
        box.when_headers = [&](StreamId id, HeaderBlock&, bool end_stream) {
            if (!end_stream) return;
            box.session.send_headers(id, kOkHeaders, true);
            box.session.release(id);
        };
    }

    // How many times make(i) is accepted before the connection ends; `limit` at most.
    template <class Make>
    unsigned accepted(unsigned limit, Make&& make) {
        for (unsigned i = 0; i < limit; ++i) {
            if (box.feed(make(i)) == FeedResult::kClose) return i;
            box.take_bytes();  // the application drains all the time
        }
        return limit;
    }
    void expect_calm(std::string_view reason) {
        EXPECT_EQ(box.session.close_code(), ErrorCode::kEnhanceYourCalm);
        EXPECT_EQ(box.session.close_reason(), reason);
        EXPECT_THAT(describe(box.take_frames()), HasSubstr("ENHANCE_YOUR_CALM"));
    }

    SessionBox box;
};

TEST_F(FloodTest, RapidReset) {
    EXPECT_EQ(accepted(5'000,
                       [](unsigned i) {
                           return request_frame(2 * i + 1, false) +
                                  rst_frame(2 * i + 1, ErrorCode::kCancel);
                       }),
              limits::kFloodResetReceived.burst);
    expect_calm("too many RST_STREAM");
}

TEST_F(FloodTest, ResetsThatThePeerProvokes) {
    EXPECT_EQ(accepted(5'000,
                       [](unsigned i) {
                           return request_frame(2 * i + 1, false) +
                                  window_update_frame(2 * i + 1, 0);
                       }),
              limits::kFloodResetSent.burst);
    expect_calm("too many stream errors");
}

TEST_F(FloodTest, Ping) {
    EXPECT_EQ(accepted(5'000, [](unsigned i) { return ping_frame(i); }), limits::kFloodPing.burst);
    expect_calm("too many PING");
}

TEST_F(FloodTest, Settings) {
    EXPECT_EQ(accepted(5'000, [](unsigned) { return settings_frame({}); }),
              limits::kFloodSettings.burst - 1u)
        << "the first one was in the preface";
    expect_calm("too many SETTINGS");
}

TEST_F(FloodTest, SettingsEntries) {
    std::string payload;
    for (unsigned i = 0; i <= limits::kHttp2SettingsEntriesMax; ++i)
        payload += std::string(6, '\x7f');
    EXPECT_EQ(box.feed(frame(FrameType::kSettings, 0, 0, payload)), FeedResult::kClose);
    expect_calm("too many settings");
}

TEST_F(FloodTest, Priority) {
    EXPECT_EQ(
        accepted(5'000,
                 [](unsigned) { return frame(FrameType::kPriority, 0, 1, std::string(5, '\0')); }),
        limits::kFloodPriority.burst);
    expect_calm("too many PRIORITY");
}

TEST_F(FloodTest, WindowUpdate) {
    EXPECT_EQ(accepted(50'000, [](unsigned) { return window_update_frame(0, 1); }),
              limits::kFloodWindowUpdate.burst);
    expect_calm("too many WINDOW_UPDATE");
}

TEST_F(FloodTest, EmptyData) {
    box.feed(request_frame(1, false));
    EXPECT_EQ(accepted(5'000, [](unsigned) { return frame(FrameType::kData, 0, 1, ""); }),
              limits::kFloodEmptyFrame.burst);
    expect_calm("too many empty frames");
    box.session.release(1);
}

TEST_F(FloodTest, PaddingOnly) {
    box.feed(request_frame(1, false));
    EXPECT_EQ(accepted(5'000,
                       [](unsigned) {
                           return frame(FrameType::kData, kFlagPadded, 1, std::string("\x01\0", 2));
                       }),
              limits::kFloodEmptyFrame.burst);
    box.session.release(1);
}

TEST_F(FloodTest, UnknownFrames) {
    EXPECT_EQ(accepted(5'000, [](unsigned) { return frame(FrameType{200}, 0, 0, "x"); }),
              limits::kFloodUnknownFrame.burst);
    expect_calm("too many unknown frames");
}

TEST_F(FloodTest, Continuations) {
    box.feed(frame(FrameType::kHeaders, 0, 1, "\x82"));
    EXPECT_EQ(accepted(100, [](unsigned) { return frame(FrameType::kContinuation, 0, 1, "\x82"); }),
              limits::kHttp2ContinuationsMax);
    expect_calm("header block too large");
}

TEST_F(FloodTest, HeaderBlockBytes) {
    const std::string part(10'000, '\x82');
    box.feed(frame(FrameType::kHeaders, 0, 1, part));
    EXPECT_EQ(accepted(8, [&](unsigned) { return frame(FrameType::kContinuation, 0, 1, part); }),
              0u);
    expect_calm("header block too large");
}

TEST_F(FloodTest, TokensComeBackWithTime) {
    for (unsigned second = 0; second < 30; ++second) {
        for (unsigned i = 0; i < limits::kFloodPing.rate; ++i) {
            ASSERT_EQ(box.feed(ping_frame(i)), FeedResult::kContinue);
            box.take_bytes();
        }
        box.now += kSecond;
    }
}

TEST_F(FloodTest, AnsweredCallsEarnResetsAndPings) {
    // Every other call is cancelled, and every call comes with a PING, all in one instant.
    for (unsigned i = 0; i < 10'000; ++i) {
        ASSERT_EQ(box.feed(request_frame(4 * i + 1, true) + request_frame(4 * i + 3, false) +
                           rst_frame(4 * i + 3, ErrorCode::kCancel) + ping_frame(i)),
                  FeedResult::kContinue)
            << i;
        box.take_bytes();
    }
}

TEST_F(FloodTest, AnswersThatNobodyReadsStopTheInput) {
    std::size_t fed = 0;
    while (box.session.wants_input() && box.feed(ping_frame(1)) == FeedResult::kContinue) {
        box.now += kSecond;  // slow enough for the token bucket
        ++fed;
    }
    EXPECT_FALSE(box.session.is_closed());
    EXPECT_EQ(fed, limits::kHttp2ControlOutputBytes / 17 + 1);
    box.take_bytes();
    EXPECT_TRUE(box.session.wants_input());
}

struct KeepaliveTest : FloodTest {
    static SessionConfig with_policy() {
        SessionConfig config;
        config.keepalive = {.min_interval_ns = 5 * kSecond};
        return config;
    }
    KeepaliveTest() : FloodTest(with_policy()) { box.feed(request_frame(1, false)); }
    ~KeepaliveTest() override {
        if (box.session.is_open(1)) box.session.release(1);
    }
};

TEST_F(KeepaliveTest, ThirdEarlyPingEndsTheConnection) {
    for (int i = 0; i < 3; ++i) EXPECT_EQ(box.feed(ping_frame(1)), FeedResult::kContinue) << i;
    EXPECT_EQ(box.feed(ping_frame(1)), FeedResult::kClose);
    EXPECT_THAT(describe(box.take_frames()), EndsWith("ENHANCE_YOUR_CALM too_many_pings; "));
}

TEST_F(KeepaliveTest, PingsInTimeAreFineForever) {
    for (int i = 0; i < 100; ++i) {
        box.now += 5 * kSecond;
        ASSERT_EQ(box.feed(ping_frame(1)), FeedResult::kContinue);
    }
}

TEST_F(KeepaliveTest, SentHeadersForgiveStrikes) {
    for (unsigned i = 0; i < 100; ++i) {
        ASSERT_EQ(box.feed(ping_frame(1) + ping_frame(1)), FeedResult::kContinue);
        box.feed(request_frame(2 * i + 3, true));  // answered
    }
}

TEST_F(KeepaliveTest, WithoutStreamsPingsAreJudgedByHours) {
    box.session.release(1);
    for (int i = 0; i < 3; ++i) {
        box.now += 60 * kSecond;
        EXPECT_EQ(box.feed(ping_frame(1)), FeedResult::kContinue);
    }
    box.now += 60 * kSecond;
    EXPECT_EQ(box.feed(ping_frame(1)), FeedResult::kClose);
}

}  // namespace
}  // namespace sluice::http2
