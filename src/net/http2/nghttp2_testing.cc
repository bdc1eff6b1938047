#include "net/http2/nghttp2_testing.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/check.h"

namespace sluice::http2 {

nghttp2_nv nghttp2_field(std::string_view name, std::string_view value) {
    return {const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(name.data())),
            const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(value.data())),
            name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

struct NghttpPeer::Callbacks {
    static NghttpPeer& peer(void* user) { return *static_cast<NghttpPeer*>(user); }

    static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                         std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                         std::uint8_t, void* user) {
        Call& call = peer(user).calls[frame->hd.stream_id];
        const std::string_view key(reinterpret_cast<const char*>(name), name_size);
        const std::string text(reinterpret_cast<const char*>(value), value_size);
        if (key == ":status") call.status = text;
        if (key == ":path") call.path = text;
        if (key == "grpc-status") call.trailer = text;
        return 0;
    }
    static int on_data(nghttp2_session*, std::uint8_t, std::int32_t stream,
                       const std::uint8_t* bytes, std::size_t size, void* user) {
        peer(user).calls[stream].received.append(reinterpret_cast<const char*>(bytes), size);
        return 0;
    }
    static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
        NghttpPeer& self = peer(user);
        if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK)) ++self.pongs;
        if (frame->hd.type == NGHTTP2_GOAWAY) self.goaway = true;
        const bool may_end = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
        if (!may_end || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) return 0;
        Call& call = self.calls[frame->hd.stream_id];
        call.ended = true;
        if (!self.is_server_) return 0;
        call.to_send = std::string(call.received.size(), 'r');
        self.submit_body(frame->hd.stream_id, true);
        return 0;
    }
    static int on_close(nghttp2_session*, std::int32_t stream, std::uint32_t code, void* user) {
        Call& call = peer(user).calls[stream];
        call.closed = true;
        call.close_code = code;
        return 0;
    }
    static ssize_t read_body(nghttp2_session* session, std::int32_t stream, std::uint8_t* to,
                             std::size_t size, std::uint32_t* flags, nghttp2_data_source*,
                             void* user) {
        NghttpPeer& self = peer(user);
        Call& call = self.calls[stream];
        const std::size_t part = std::min(size, call.to_send.size() - call.sent);
        std::memcpy(to, call.to_send.data() + call.sent, part);
        call.sent += part;
        if (call.sent == call.to_send.size()) {
            *flags = NGHTTP2_DATA_FLAG_EOF;
            if (self.is_server_) {
                *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
                const nghttp2_nv trailers[] = {nghttp2_field("grpc-status", "0")};
                SLUICE_CHECK(nghttp2_submit_trailer(session, stream, trailers, 1) == 0);
            }
        }
        return static_cast<ssize_t>(part);
    }
};

NghttpPeer::NghttpPeer(bool is_server, std::uint32_t stream_window) : is_server_(is_server) {
    nghttp2_session_callbacks* callbacks = nullptr;
    SLUICE_CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::on_close);
    if (is_server)
        SLUICE_CHECK(nghttp2_session_server_new(&session_, callbacks, this) == 0);
    else
        SLUICE_CHECK(nghttp2_session_client_new(&session_, callbacks, this) == 0);
    nghttp2_session_callbacks_del(callbacks);
    std::vector<nghttp2_settings_entry> settings;
    if (stream_window != 0)
        settings.push_back({NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, stream_window});
    SLUICE_CHECK(nghttp2_submit_settings(session_, 0, settings.data(), settings.size()) == 0);
}

NghttpPeer::~NghttpPeer() {
    nghttp2_session_del(session_);
}

std::int32_t NghttpPeer::request(std::string_view path, std::string body) {
    const nghttp2_nv fields[] = {nghttp2_field(":method", "POST"),
                                 nghttp2_field(":scheme", "http"),
                                 nghttp2_field(":path", path),
                                 nghttp2_field(":authority", "test"),
                                 nghttp2_field("content-type", "application/grpc"),
                                 nghttp2_field("te", "trailers")};
    nghttp2_data_provider provider{};
    provider.read_callback = Callbacks::read_body;
    const std::int32_t stream =
        nghttp2_submit_request(session_, nullptr, fields, std::size(fields), &provider, nullptr);
    SLUICE_CHECK(stream > 0);
    calls[stream].to_send = std::move(body);
    return stream;
}

void NghttpPeer::submit_body(std::int32_t stream, bool is_response) {
    SLUICE_CHECK(is_response);
    const nghttp2_nv fields[] = {nghttp2_field(":status", "200"),
                                 nghttp2_field("content-type", "application/grpc")};
    nghttp2_data_provider provider{};
    provider.read_callback = Callbacks::read_body;
    SLUICE_CHECK(nghttp2_submit_response(session_, stream, fields, std::size(fields), &provider) ==
                 0);
}

void NghttpPeer::reset(std::int32_t stream, std::uint32_t code) {
    SLUICE_CHECK(nghttp2_submit_rst_stream(session_, 0, stream, code) == 0);
}

void NghttpPeer::ping() {
    SLUICE_CHECK(nghttp2_submit_ping(session_, 0, nullptr) == 0);
}

void NghttpPeer::feed(std::string_view bytes) {
    const auto taken = nghttp2_session_mem_recv(
        session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    SLUICE_CHECK(taken == static_cast<ssize_t>(bytes.size()));
}

std::string NghttpPeer::take(std::size_t max) {
    std::string out;
    while (out.size() < max) {
        const std::uint8_t* data = nullptr;
        const auto size = nghttp2_session_mem_send(session_, &data);
        SLUICE_CHECK(size >= 0);
        if (size == 0) break;
        out.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
    }
    return out;
}

}  // namespace sluice::http2
