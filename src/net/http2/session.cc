// The session as its driver sees it: start, drain, terminate, trim, and its state.
#include "net/http2/session.h"

#include "base/check.h"

namespace sluice::http2 {
namespace {
constexpr std::uint64_t kDrainPing = 0x736c'7569'6365'0001;  // tells our own PING's answer apart
// What grpc-go's servers say when they drain: clients put it into their errors' texts.
constexpr std::string_view kGracefulStop = "graceful_stop";

bool has_payload(const PendingOutput& output) noexcept {
    return !output.data.empty();
}

std::size_t heap_bytes(const std::string& text) noexcept {
    return text.capacity() >= sizeof(std::string) ? text.capacity() : 0;
}
}  // namespace

Session::Session(Role role, const SessionConfig& config, SessionHandler& handler, OutputBuffer& out)
    : config_(config), handler_(handler), out_(out), encoder_(config.shared_fields), role_(role) {
    SLUICE_ASSERT(config.connection_window_bytes >= kDefaultWindowBytes);
    SLUICE_ASSERT(config.connection_window_bytes <= kWindowBytesMax);
    SLUICE_ASSERT(config.stream_window_bytes <= kWindowBytesMax);
    SLUICE_ASSERT(config.header_list_bytes_max <= limits::kHttp2HeaderListBytesMax);
    if (role == Role::kServer) preface_left_ = static_cast<std::uint8_t>(kClientPreface.size());
}

Session::~Session() {
    streams_.for_each([](Stream& stream) { SLUICE_CHECK(stream.is_released); });
}

void Session::start(TimeNs now) {
    SLUICE_ASSERT(!is_closed_ && receive_window_ == static_cast<int>(kDefaultWindowBytes));
    now_ = now;
    if (role_ == Role::kClient) out_.append(kClientPreface);
    write_settings();
    const std::uint32_t more = config_.connection_window_bytes - kDefaultWindowBytes;
    if (more > 0) write_window_update(0, more);
    receive_window_ = static_cast<std::int32_t>(config_.connection_window_bytes);
}

bool Session::wants_input() const noexcept {
    return out_.size() < limits::kHttp2ControlOutputBytes;
}

bool Session::has_output_waiting() const noexcept {
    if (is_closed_ || queue_.front() == nullptr) return false;
    // Streams whose own window is closed are not in the queue.
    return send_window_ > 0 || !has_payload(*queue_.front());
}

void Session::drain(TimeNs now) {
    if (is_closed_ || drain_ != DrainStep::kNone) return;
    now_ = now;
    if (role_ == Role::kClient) {
        drain_ = DrainStep::kFinal;
        write_goaway(0, ErrorCode::kNoError, {});
        return;
    }
    drain_ = DrainStep::kAnnounced;
    write_goaway(kStreamIdMax, ErrorCode::kNoError, kGracefulStop);
    ping(kDrainPing);
}

bool Session::drained() const noexcept {
    return is_closed_ || (drain_ == DrainStep::kFinal && streams_.count() == 0);
}

// The answer to drain()'s PING: the peer has seen the first GOAWAY, so whatever it opened before
// that has arrived.
bool Session::finish_drain(std::uint64_t ping_payload) {
    if (ping_payload != kDrainPing || drain_ != DrainStep::kAnnounced) return false;
    drain_ = DrainStep::kFinal;
    refuse_above_ = last_peer_id_;
    write_goaway(last_peer_id_, ErrorCode::kNoError, kGracefulStop);
    return true;
}

void Session::end_input() {
    SLUICE_ASSERT(role_ == Role::kServer && scratch_ == nullptr);
    for (const StreamId id : streams_.ids()) {
        Stream* stream = streams_.find(id);
        if (stream == nullptr || stream->remote_ended || stream->is_wire_closed()) continue;
        if (stream->is_released) continue;  // its answer is on its way, and ends it
        close_stream(*stream, ClosedHow::kResetByPeer, ErrorCode::kCancel, Tell::kYes);
    }
}

void Session::terminate(ErrorCode code, std::string_view debug) {
    if (!is_closed_) {
        write_goaway(last_peer_id_, code, debug);
        is_closed_ = true;
        close_code_ = code;
        close_reason_ = "terminated";
    }
    for (const StreamId id : streams_.ids()) {
        Stream* stream = streams_.find(id);
        if (stream == nullptr || stream->is_wire_closed()) continue;
        const ErrorCode why = code == ErrorCode::kNoError ? ErrorCode::kCancel : code;
        close_stream(*stream, ClosedHow::kResetByUs, why, Tell::kYes);
    }
    SLUICE_ASSERT(pending_bytes_ == 0 && queue_.front() == nullptr);
}

void Session::trim() {
    SLUICE_ASSERT(scratch_ == nullptr);  // no view of the table is out
    decoder_.trim();
    streams_.trim();
    if (partial_.empty()) std::string().swap(partial_);
    if (header_block_.empty()) std::string().swap(header_block_);
}

void Session::set_user(StreamId id, void* user) noexcept {
    Stream* stream = streams_.find(id);
    SLUICE_ASSERT(stream != nullptr);
    if (stream != nullptr) stream->user = user;
}

void* Session::user(StreamId id) const noexcept {
    const Stream* stream = streams_.find(id);
    return stream == nullptr ? nullptr : stream->user;
}

bool Session::is_open(StreamId id) const noexcept {
    const Stream* stream = streams_.find(id);
    return stream != nullptr && !stream->is_wire_closed();
}

std::size_t Session::pending_bytes(StreamId id) const noexcept {
    const Stream* stream = streams_.find(id);
    return stream == nullptr || stream->pending == nullptr ? 0 : stream->pending->data.size();
}

std::size_t Session::memory_bytes() const noexcept {
    return sizeof(*this) + decoder_.memory_bytes() + streams_.memory_bytes() +
           heap_bytes(partial_) + heap_bytes(header_block_) + pending_bytes_;
}

}  // namespace sluice::http2
