#include "net/grpc/grpc_client_testing.h"

#include <gtest/gtest.h>

#include <array>

namespace sluice::grpc {

using http2::HeaderField;
using http2::StreamId;

TestClient::TestClient(std::uint16_t port, const Options& options)
    : options_(options),
      session_(http2::Role::kClient, options_.session, *this, out_),
      socket_(port, options.receive_buffer_bytes) {
    session_.start(clock_.now_ns());
    flush();
}

TestClient::~TestClient() {
    session_.terminate(http2::ErrorCode::kNoError);
    for (auto& [id, reply] : replies_) {
        if (!std::exchange(reply.ended, true)) session_.release(id);
    }
}

StreamId TestClient::open(const std::string& path, const TestHeaders& more) {
    std::vector<HeaderField> fields = {
        HeaderField::text(":method", "POST"), HeaderField::text(":scheme", "http"),
        HeaderField::text(":path", path), HeaderField::text(":authority", "test"),
        HeaderField::text("te", "trailers")};
    bool has_type = false;
    for (const auto& [name, value] : more) {
        has_type |= name == "content-type";
        fields.push_back(HeaderField::text(name, value));
    }
    if (!has_type) fields.push_back(HeaderField::text("content-type", "application/grpc"));
    const StreamId id = session_.open(fields, false);
    EXPECT_NE(id, 0u);
    replies_[id] = {};
    return id;
}

void TestClient::send(StreamId id, std::string_view message, bool end) {
    std::string framed(kMessagePrefixBytes, '\0');
    store_message_prefix(framed.data(), static_cast<std::uint32_t>(message.size()));
    framed += message;
    send_raw(id, framed, end);
}

void TestClient::send_raw(StreamId id, std::string_view bytes, bool end) {
    const http2::DataPiece piece = http2::DataPiece::copy(bytes);
    session_.send_data(id, {&piece, 1}, end);
    flush();
}

void TestClient::reset(StreamId id) {
    session_.reset(id, http2::ErrorCode::kCancel);
    end(id);
    flush();
}

StreamId TestClient::start(const std::string& path, std::string_view message,
                           const TestHeaders& more) {
    const StreamId id = open(path, more);
    send(id, message, true);
    return id;
}

TestReply& TestClient::wait(StreamId id) {
    TestReply& reply = replies_[id];
    EXPECT_TRUE(until([&] { return reply.ended; }));
    return reply;
}

TestReply& TestClient::call(const std::string& path, std::string_view message,
                            const TestHeaders& more) {
    return wait(start(path, message, more));
}

bool TestClient::until(const std::function<bool()>& condition) {
    while (!condition()) {
        if (!pump()) return condition();
    }
    return true;
}

void TestClient::wait_closed() {
    while (pump()) {
    }
}

void TestClient::flush() {
    session_.produce(clock_.now_ns());
    while (!out_.empty()) {
        std::array<iovec, 16> parts;
        const unsigned count = out_.gather(parts);
        std::size_t total = 0;
        for (const iovec& part : std::span(parts).first(count)) {
            socket_.send({static_cast<const char*>(part.iov_base), part.iov_len});
            total += part.iov_len;
        }
        out_.consume(total);
        session_.produce(clock_.now_ns());
    }
}

// One read. False: the connection is over.
bool TestClient::pump() {
    flush();
    const std::string bytes = socket_.receive();
    if (bytes.empty()) {
        session_.terminate(http2::ErrorCode::kNoError);
        return false;
    }
    const bool goes_on =
        session_.feed(bytes, clock_.now_ns(), scratch_) == http2::FeedResult::kContinue;
    flush();
    return goes_on;
}

void TestClient::on_headers(StreamId id, void*, http2::HeaderBlock& block, bool end_stream) {
    TestReply& reply = replies_[id];
    reply.header_blocks += 1;
    for (const http2::Header& header : block.headers()) {
        if (header.name == ":status") reply.http_status = header.value;
        if (header.name == "grpc-status") reply.status = header.value;
        if (header.name == "grpc-message") reply.message = header.value;
    }
    if (end_stream) end(id);
}

void TestClient::on_data(StreamId id, void*, std::string_view bytes, bool end_stream) {
    TestReply& reply = replies_[id];
    reply.bytes += bytes.size();
    if (reply.http_status == "200") {
        MessageReader& reader = readers_.try_emplace(id, UINT32_MAX).first->second;
        const Status fed = reader.feed(
            bytes, [&](std::string_view message) { reply.messages.emplace_back(message); });
        EXPECT_TRUE(fed.has_value());
    } else {
        reply.body += bytes;
    }
    if (options_.grants_window) session_.consume(id, bytes.size());
    if (end_stream) end(id);
}

void TestClient::on_closed(StreamId id, void*, http2::ErrorCode code) {
    TestReply& reply = replies_[id];
    reply.reset = true;
    reply.reset_code = code;
    end(id);
}

void TestClient::on_goaway(StreamId, http2::ErrorCode, std::string_view debug) {
    got_goaway_ = true;
    goaway_text_ = debug;
}

void TestClient::end(StreamId id) {
    if (std::exchange(replies_[id].ended, true)) return;
    ended_.push_back(id);
    session_.release(id);
}

}  // namespace sluice::grpc
