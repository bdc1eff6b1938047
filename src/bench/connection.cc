#include "bench/connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <charconv>
#include <optional>

#include "base/byte_order.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/syscall.h"

namespace sluice::bench {
namespace {

constexpr int kStatusCancelled = 1;
constexpr int kStatusUnknown = 2;
constexpr int kStatusUnavailable = 14;
constexpr std::uint64_t kOkResponseTag = 1;  // a remembered ":status 200" header block
constexpr std::size_t kPrefixBytes = 5;      // gRPC: one byte of flags, four of length

template <class T>
std::optional<T> parse_number(std::string_view text) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

// "127.0.0.1:2379" or "[::1]:2379".
struct Address {
    sockaddr_storage storage{};
    socklen_t bytes = 0;
};

Result<Address> parse_endpoint(const std::string& endpoint) {
    const auto colon = endpoint.rfind(':');
    const auto port =
        colon == std::string::npos
            ? std::nullopt
            : parse_number<std::uint16_t>(std::string_view(endpoint).substr(colon + 1));
    std::string host = endpoint.substr(0, std::min(colon, endpoint.size()));
    if (host == "localhost") host = "127.0.0.1";
    if (host.size() > 2 && host.front() == '[' && host.back() == ']')
        host = host.substr(1, host.size() - 2);
    Address address;
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
    if (port && inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(*port);
        address.bytes = sizeof *v4;
    } else if (port && inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(*port);
        address.bytes = sizeof *v6;
    } else {
        return fail(Code::kInvalidArgument,
                    fmt::format("endpoint '{}' is not ADDRESS:PORT", endpoint));
    }
    return address;
}

}  // namespace

Connection::Connection(const http2::SessionConfig& config, LoopMemory& memory)
    : memory_(memory), session_(http2::Role::kClient, config, *this, out_) {}

Connection::~Connection() {
    close();
    SLUICE_CHECK(fd_ < 0);
}

Status Connection::open(const std::string& endpoint, TimeNs now) {
    SLUICE_CHECK(fd_ < 0);
    SLUICE_TRY_ASSIGN(const Address address, parse_endpoint(endpoint));
    fd_ = sys::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd_ < 0) return fail(Error::from_errno(fd_, "socket"));
    const int connected =
        sys::connect(fd_, reinterpret_cast<const sockaddr*>(&address.storage), address.bytes);
    if (connected < 0) return fail(Error::from_errno(connected, "connect to " + endpoint));
    const int one = 1;
    sys::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (::fcntl(fd_, F_SETFL, O_NONBLOCK) != 0) return fail(Code::kInternal, "fcntl O_NONBLOCK");
    session_.start(now);
    return {};
}

std::string_view Connection::framed(std::string_view message) {
    std::string& out = memory_.framed;
    out.resize(kPrefixBytes);
    out[0] = 0;  // not compressed
    store_be32(out.data() + 1, static_cast<std::uint32_t>(message.size()));
    out.append(message);
    return out;
}

bool Connection::start(Call& call, std::span<const http2::HeaderField> headers,
                       std::string_view message, bool last) {
    SLUICE_ASSERT(call.stream_ == 0);
    if (closing_ || fd_ < 0) return false;
    call.partial_.clear();
    call.stream_ = session_.open(headers, false, &call);
    if (call.stream_ == 0) return false;
    const http2::DataPiece piece = http2::DataPiece::copy(framed(message));
    session_.send_data(call.stream_, {&piece, 1}, last);
    flush_later();
    return true;
}

void Connection::send(Call& call, std::string_view message) {
    SLUICE_ASSERT(call.stream_ != 0);
    const http2::DataPiece piece = http2::DataPiece::copy(framed(message));
    session_.send_data(call.stream_, {&piece, 1}, false);
    flush_later();
}

void Connection::flush_later() {
    if (std::exchange(is_unflushed_, true)) return;
    memory_.unflushed.push_back(this);
}

void Connection::on_ready(TimeNs now) {
    if (fd_ < 0) return;
    flush_later();  // window updates, answers to pings, what did not fit before
    while (fd_ >= 0) {
        const ssize_t got = sys::recv(fd_, memory_.receive.data(), memory_.receive.size(), 0);
        if (got == -EAGAIN) return;
        if (got < 0) return broken(Error::from_errno(static_cast<int>(got), "recv").message());
        if (got == 0) return broken("the server closed the connection");
        const auto bytes = static_cast<std::size_t>(got);
        const auto result =
            session_.feed(std::string_view(memory_.receive.data(), bytes), now, memory_.scratch);
        if (result == http2::FeedResult::kClose)
            return broken(fmt::format("HTTP/2: {}", session_.close_reason()));
        if (!goaway_.empty()) return broken(goaway_);
        // A short read has emptied the socket: the next byte is a new edge.
        if (bytes < memory_.receive.size()) return;
    }
}

void Connection::flush(TimeNs now) {
    is_unflushed_ = false;
    if (fd_ < 0) return;
    for (;;) {
        session_.produce(now);
        if (out_.empty()) return;
        iovec parts[16];
        const unsigned count = out_.gather(parts);
        const ssize_t sent = sys::writev(fd_, parts, static_cast<int>(count));
        if (sent == -EAGAIN) return;  // the next edge continues
        if (sent < 0) return broken(Error::from_errno(static_cast<int>(sent), "writev").message());
        out_.consume(static_cast<std::size_t>(sent));
    }
}

void Connection::on_settings() {
    if (usable_) return;
    usable_ = true;
    if (on_usable) on_usable();
}

void Connection::on_goaway(http2::StreamId, http2::ErrorCode code, std::string_view debug) {
    if (code == http2::ErrorCode::kNoError) return;
    goaway_ = fmt::format("GOAWAY {} {}", http2::error_code_name(code), debug);
}

void Connection::on_headers(http2::StreamId, void* user, http2::HeaderBlock& block,
                            bool end_stream) {
    if (user == nullptr) return;
    auto& call = *static_cast<Call*>(user);
    if (!end_stream) {
        if (block.tag() == kOkResponseTag) return;
        const http2::Header* status = block.find(http2::HeaderId::kStatus);
        if (status != nullptr && status->value == "200") {
            block.set_tag(kOkResponseTag);
            return;
        }
        const std::string value = status == nullptr ? "" : std::string(status->value);
        return finish(call, kStatusUnknown, fmt::format("HTTP status '{}'", value));
    }
    const http2::Header* status = block.find(http2::HeaderId::kGrpcStatus);
    const auto number = status == nullptr ? std::nullopt : parse_number<int>(status->value);
    if (!number) return finish(call, kStatusUnknown, "the stream ended without grpc-status");
    if (*number == 0) return finish(call, 0, {});
    const http2::Header* text = block.find(http2::HeaderId::kGrpcMessage);
    finish(call, *number, text == nullptr ? std::string_view() : text->value);
}

void Connection::on_data(http2::StreamId id, void* user, std::string_view bytes, bool end_stream) {
    session_.consume(id, bytes.size());
    if (user == nullptr) return;
    auto& call = *static_cast<Call*>(user);
    if (!take_messages(call, bytes)) return finish(call, kStatusUnknown, "compressed message");
    if (end_stream) finish(call, kStatusUnknown, "the stream ended without trailers");
}

// Cuts messages out of the payload; copies only what one DATA frame does not hold whole.
bool Connection::take_messages(Call& call, std::string_view bytes) {
    const bool was_partial = !call.partial_.empty();
    if (was_partial) call.partial_.append(bytes);
    std::string_view rest = was_partial ? std::string_view(call.partial_) : bytes;
    while (rest.size() >= kPrefixBytes) {
        if (rest[0] != 0) return false;
        const std::size_t length = load_be32(rest.data() + 1);
        if (rest.size() < kPrefixBytes + length) break;
        call.on_message(rest.substr(kPrefixBytes, length));
        rest.remove_prefix(kPrefixBytes + length);
    }
    if (was_partial) {
        call.partial_.erase(0, call.partial_.size() - rest.size());
    } else {
        call.partial_.assign(rest);
    }
    return true;
}

void Connection::finish(Call& call, int grpc_status, std::string_view message) {
    SLUICE_ASSERT(call.stream_ != 0);
    session_.release(call.stream_);
    call.stream_ = 0;
    call.on_done(grpc_status, message);
}

void Connection::on_closed(http2::StreamId, void* user, http2::ErrorCode code) {
    if (user == nullptr) return;
    finish(*static_cast<Call*>(user), closing_ ? kStatusCancelled : kStatusUnavailable,
           fmt::format("the stream was reset: {}", http2::error_code_name(code)));
}

void Connection::close() {
    if (fd_ < 0) return;
    closing_ = true;
    session_.terminate(http2::ErrorCode::kNoError);
    const int fd = std::exchange(fd_, -1);
    sys::close(fd);
}

void Connection::broken(const std::string& why) {
    if (closing_) return;
    if (on_broken) on_broken(why);  // before its calls end, so that this is the reason they see
    close();
}

}  // namespace sluice::bench
