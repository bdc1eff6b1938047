#include "net/http2/session_testing.h"

#include <fmt/format.h>

#include "base/check.h"
#include "net/http2/hpack_integer.h"

namespace sluice::http2 {
namespace {

std::string big_endian(std::uint64_t value, unsigned bytes) {
    std::string out;
    for (unsigned i = bytes; i-- > 0;) out += static_cast<char>(value >> (8 * i));
    return out;
}

void append_string(std::string& block, std::string_view text) {
    char size[kIntegerBytesMax];
    char* end = encode_integer(size, 0, 7, static_cast<std::uint32_t>(text.size()));
    block.append(size, end);
    block.append(text);
}

}  // namespace

std::string frame(FrameType type, std::uint8_t flags, StreamId stream, std::string_view payload) {
    std::string out(kFrameHeaderBytes, '\0');
    store_frame_header(out.data(), {.length = static_cast<std::uint32_t>(payload.size()),
                                    .type = type,
                                    .flags = flags,
                                    .stream = stream});
    return out.append(payload);
}

std::string settings_frame(std::initializer_list<std::pair<Setting, std::uint32_t>> settings) {
    std::string payload;
    for (const auto& [id, value] : settings)
        payload += big_endian(static_cast<std::uint16_t>(id), 2) + big_endian(value, 4);
    return frame(FrameType::kSettings, 0, 0, payload);
}

std::string window_update_frame(StreamId stream, std::uint32_t increment) {
    return frame(FrameType::kWindowUpdate, 0, stream, big_endian(increment, 4));
}

std::string rst_frame(StreamId stream, ErrorCode code) {
    return frame(FrameType::kRstStream, 0, stream, big_endian(static_cast<std::uint32_t>(code), 4));
}

std::string ping_frame(std::uint64_t payload, bool ack) {
    return frame(FrameType::kPing, ack ? kFlagAck : 0, 0, big_endian(payload, 8));
}

std::string headers_frame(StreamId stream,
                          const std::vector<std::pair<std::string, std::string>>& headers,
                          bool end_stream) {
    std::string block;
    for (const auto& [name, value] : headers) {
        block += '\0';
        append_string(block, name);
        append_string(block, value);
    }
    const auto flags =
        static_cast<std::uint8_t>(kFlagEndHeaders | (end_stream ? kFlagEndStream : 0));
    return frame(FrameType::kHeaders, flags, stream, block);
}

std::string request_frame(StreamId stream, bool end_stream) {
    return headers_frame(stream,
                         {{":method", "POST"},
                          {":scheme", "http"},
                          {":path", "/s/m"},
                          {":authority", "a"},
                          {"content-type", "application/grpc"},
                          {"te", "trailers"}},
                         end_stream);
}

std::string client_start() {
    return std::string(kClientPreface) + settings_frame({});
}

SessionBox::SessionBox(Role role, SessionConfig session_config)
    : config(session_config), session(role, config, *this, out) {
    session.start(now);
}

SessionBox::~SessionBox() {
    session.terminate(ErrorCode::kNoError);
}

std::vector<SentFrame> SessionBox::exchange(std::string_view bytes) {
    feed(bytes);
    session.produce(now);
    return take_frames();
}

std::string SessionBox::take_bytes() {
    std::string bytes;
    while (!out.empty()) {
        iovec parts[4];
        const unsigned count = out.gather(parts);
        SLUICE_CHECK(count > 0);
        for (unsigned i = 0; i < count; ++i) {
            bytes.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
            out.consume(parts[i].iov_len);
        }
    }
    return bytes;
}

std::vector<SentFrame> SessionBox::take_frames() {
    return split_frames(take_bytes());
}

std::vector<SentFrame> split_frames(std::string_view bytes) {
    std::vector<SentFrame> frames;
    if (bytes.starts_with(kClientPreface)) bytes.remove_prefix(kClientPreface.size());
    while (!bytes.empty()) {
        SLUICE_CHECK(bytes.size() >= kFrameHeaderBytes);
        const FrameHeader header = load_frame_header(bytes.data());
        SLUICE_CHECK(bytes.size() >= kFrameHeaderBytes + header.length);
        frames.push_back({header, std::string(bytes.substr(kFrameHeaderBytes, header.length))});
        bytes.remove_prefix(kFrameHeaderBytes + header.length);
    }
    return frames;
}

std::string describe(const std::vector<SentFrame>& frames) {
    static constexpr std::string_view kNames[] = {
        "DATA",         "HEADERS", "PRIORITY", "RST_STREAM",    "SETTINGS",
        "PUSH_PROMISE", "PING",    "GOAWAY",   "WINDOW_UPDATE", "CONTINUATION"};
    std::string text;
    for (const auto& [header, payload] : frames) {
        const auto type = static_cast<std::size_t>(header.type);
        text += fmt::format("{} {}", type < std::size(kNames) ? kNames[type] : "?", header.stream);
        switch (header.type) {
            case FrameType::kData:
                text += fmt::format(" {}", header.length);
                [[fallthrough]];
            case FrameType::kHeaders:
                if (header.has(kFlagEndStream)) text += " END";
                break;
            case FrameType::kRstStream:
                text += fmt::format(" {}", error_code_name(ErrorCode{load_be32(payload.data())}));
                break;
            case FrameType::kGoaway:
                text += fmt::format(" {} {} {}", load_be32(payload.data()),
                                    error_code_name(ErrorCode{load_be32(payload.data() + 4)}),
                                    payload.substr(8));
                break;
            case FrameType::kWindowUpdate:
                text += fmt::format(" {}", load_be32(payload.data()));
                break;
            case FrameType::kSettings:
            case FrameType::kPing:
                if (header.has(kFlagAck)) text += " ACK";
                break;
            default:
                break;
        }
        text += "; ";
    }
    return text;
}

void SessionBox::on_headers(StreamId id, void*, HeaderBlock& block, bool end_stream) {
    events += fmt::format("{} {}", block.is_trailers() ? "trailers" : "headers", id);
    for (const Header& header : block.headers())
        events += fmt::format(" {}={}", header.name, header.value);
    events += end_stream ? " END; " : "; ";
    if (when_headers) when_headers(id, block, end_stream);
}

void SessionBox::on_data(StreamId id, void*, std::string_view bytes, bool end_stream) {
    if (logs_data) events += fmt::format("data {} {}{}; ", id, bytes, end_stream ? " END" : "");
    if (consumes) session.consume(id, bytes.size());
    if (when_data) when_data(id, bytes, end_stream);
}

void SessionBox::on_writable(StreamId id, void*) {
    events += fmt::format("writable {}; ", id);
    if (when_writable) when_writable(id);
}

void SessionBox::on_closed(StreamId id, void*, ErrorCode code) {
    events += fmt::format("closed {} {}; ", id, error_code_name(code));
    if (releases_closed) session.release(id);
}

void SessionBox::on_goaway(StreamId last_id, ErrorCode code, std::string_view debug) {
    events += fmt::format("goaway {} {} {}; ", last_id, error_code_name(code), debug);
}

void SessionBox::on_ping_ack(std::uint64_t payload) {
    events += fmt::format("pong {}; ", payload);
}

}  // namespace sluice::http2
