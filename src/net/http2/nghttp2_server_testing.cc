#include "net/http2/nghttp2_server_testing.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/byte_order.h"
#include "base/check.h"
#include "net/http2/nghttp2_testing.h"

namespace sluice::http2 {
namespace {

std::string_view text(const std::uint8_t* bytes, std::size_t size) {
    return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

struct Nghttp2Server::Callbacks {
    static Nghttp2Server& server(void* user) { return *static_cast<Nghttp2Server*>(user); }

    static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
        server(user).streams_[frame->hd.stream_id].fields.clear();
        return 0;
    }
    static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                         std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                         std::uint8_t, void* user) {
        server(user).streams_[frame->hd.stream_id].fields +=
            fmt::format(" {}={}", text(name, name_size), text(value, value_size));
        return 0;
    }
    // Without this it would drop a malformed header and take the rest.
    static int on_invalid_header(nghttp2_session*, const nghttp2_frame*, const std::uint8_t*,
                                 std::size_t, const std::uint8_t*, std::size_t, std::uint8_t,
                                 void*) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    static int on_data(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* bytes,
                       std::size_t size, void* user) {
        Stream& stream = server(user).streams_[id];
        stream.data += text(bytes, size);
        stream.unconsumed += size;
        return 0;
    }
    static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
        Nghttp2Server& self = server(user);
        const std::int32_t id = frame->hd.stream_id;
        const char* end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 ? " END" : "";
        if (frame->hd.type == NGHTTP2_HEADERS) {
            Stream& stream = self.streams_[id];
            self.events += fmt::format("{} {}{}{}; ", stream.announced ? "trailers" : "headers", id,
                                       stream.fields, end);
            stream.announced = true;
        } else if (frame->hd.type == NGHTTP2_DATA) {
            const std::string data = std::exchange(self.streams_[id].data, {});
            if (!data.empty() || *end != 0)
                self.events += fmt::format("data {} {}{}; ", id, data, end);
        } else if (frame->hd.type == NGHTTP2_GOAWAY) {
            const auto& goaway = frame->goaway;
            self.events += fmt::format("goaway {} {} {}; ", goaway.last_stream_id,
                                       error_code_name(ErrorCode{goaway.error_code}),
                                       text(goaway.opaque_data, goaway.opaque_data_len));
        } else if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) {
            const auto* payload = reinterpret_cast<const char*>(frame->ping.opaque_data);
            self.events += fmt::format("pong {}; ", load_be64(payload));
        }
        return 0;
    }
    static int on_close(nghttp2_session*, std::int32_t id, std::uint32_t code, void* user) {
        Nghttp2Server& self = server(user);
        if (self.streams_[id].announced)
            self.events += fmt::format("closed {} {}; ", id, error_code_name(ErrorCode{code}));
        self.closed_.push_back(id);
        return 0;
    }
    static ssize_t read_body(nghttp2_session* session, std::int32_t id, std::uint8_t* to,
                             std::size_t size, std::uint32_t* flags, nghttp2_data_source*,
                             void* user) {
        Stream& stream = server(user).streams_[id];
        const std::size_t part = std::min(size, stream.to_send);
        std::memset(to, 'b', part);
        stream.to_send -= part;
        if (stream.to_send > 0) return static_cast<ssize_t>(part);
        *flags = NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        const nghttp2_nv trailers[] = {nghttp2_field("grpc-status", "0")};
        SLUICE_CHECK(nghttp2_submit_trailer(session, id, trailers, 1) == 0);
        return static_cast<ssize_t>(part);
    }
};

Nghttp2Server::Nghttp2Server(std::uint32_t streams_max) {
    nghttp2_session_callbacks* callbacks = nullptr;
    SLUICE_CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, Callbacks::on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks,
                                                             Callbacks::on_invalid_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::on_close);
    nghttp2_option* option = nullptr;
    SLUICE_CHECK(nghttp2_option_new(&option) == 0);
    nghttp2_option_set_no_auto_window_update(option, 1);
    SLUICE_CHECK(nghttp2_session_server_new2(&session_, callbacks, this, option) == 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams_max}};
    SLUICE_CHECK(nghttp2_submit_settings(session_, 0, settings, std::size(settings)) == 0);
    send();
}

Nghttp2Server::~Nghttp2Server() {
    nghttp2_session_del(session_);
}

std::string Nghttp2Server::send() {
    std::string out;
    // Consuming what a closed stream has left may have more to send.
    do {
        for (const std::int32_t id : std::exchange(closed_, {})) {
            const std::size_t rest = std::exchange(streams_[id].unconsumed, 0);
            SLUICE_CHECK(nghttp2_session_consume_connection(session_, rest) == 0);
        }
        for (;;) {
            const std::uint8_t* data = nullptr;
            const auto size = nghttp2_session_mem_send(session_, &data);
            SLUICE_CHECK(size >= 0);
            if (size == 0) break;
            out += text(data, static_cast<std::size_t>(size));
        }
    } while (!closed_.empty());
    return out;
}

std::string Nghttp2Server::feed(std::string_view bytes) {
    for (auto& [id, stream] : streams_) stream.data.clear();
    const auto taken = nghttp2_session_mem_recv(
        session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    if (taken >= 0) {
        SLUICE_CHECK(taken == static_cast<ssize_t>(bytes.size()));
        return send();
    }
    if (taken == NGHTTP2_ERR_BAD_CLIENT_MAGIC)
        failure_ = ErrorCode::kProtocolError;
    else if (taken == NGHTTP2_ERR_FLOODED || taken == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS)
        failure_ = ErrorCode::kEnhanceYourCalm;
    SLUICE_CHECK(failure_.has_value());
    return {};
}

std::string Nghttp2Server::respond(std::int32_t stream) {
    const nghttp2_nv fields[] = {nghttp2_field(":status", "200")};
    SLUICE_CHECK(nghttp2_submit_response(session_, stream, fields, 1, nullptr) == 0);
    return send();
}

std::string Nghttp2Server::send_body(std::int32_t stream, std::size_t bytes) {
    streams_[stream].to_send = bytes;
    const nghttp2_nv fields[] = {nghttp2_field(":status", "200")};
    nghttp2_data_provider provider{};
    provider.read_callback = Callbacks::read_body;
    SLUICE_CHECK(nghttp2_submit_response(session_, stream, fields, 1, &provider) == 0);
    return send();
}

std::string Nghttp2Server::reset(std::int32_t stream) {
    SLUICE_CHECK(nghttp2_submit_rst_stream(session_, 0, stream, NGHTTP2_CANCEL) == 0);
    return send();
}

std::string Nghttp2Server::consume(std::int32_t stream, std::size_t bytes) {
    SLUICE_CHECK(bytes <= streams_[stream].unconsumed);
    streams_[stream].unconsumed -= bytes;
    SLUICE_CHECK(nghttp2_session_consume(session_, stream, bytes) == 0);
    return send();
}

}  // namespace sluice::http2
