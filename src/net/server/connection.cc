#include "net/server/connection.h"

#include <array>
#include <cerrno>

#include "base/check.h"
#include "base/limits.h"
#include "base/syscall.h"
#include "io/buffer_pool.h"
#include "io/socket.h"
#include "net/server/server.h"
#include "rt/runtime.h"

namespace sluice::net {
namespace {

// A client's first bytes on a connection with prior knowledge of HTTP/2 (RFC 9113 section 3.4). No
// HTTP/1 request begins with the method PRI.
constexpr std::string_view kHttp2Start = "PRI * HTTP/2.0\r\n";

// Methods are letters; an empty line may stand before them (RFC 9112 section 2.2). Others, a TLS
// record for example, might never send the end of line that the parser waits for.
bool may_begin_http(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '\r' || c == '\n';
}

std::string_view as_text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

Connection::Connection(Server& server, int socket)
    : io::Watch(socket, &Connection::on_ready), server_(server) {
    timer_.connection = this;
}

Connection::~Connection() {
    SLUICE_CHECK(closed_);
    SLUICE_CHECK(posted_.load(std::memory_order_relaxed) == nullptr);
    SLUICE_CHECK(state_.load(std::memory_order_relaxed) == kIdle);
}

// The poller comes before the server's list: once listed, another worker may end the connection,
// and must then find the registration complete. The poller's callbacks do not interfere: they run
// on this very worker, after this function.
void Connection::start(Server& server, io::Descriptor socket) {
    auto* connection = new Connection(server, socket.release());
    connection->retain();  // for this function
    const TimeNs now = server.clock_.now_ns();
    connection->last_input_ns_ = now;
    connection->silent_since_ns_ = now;
    const Status added = io::current_poller().add(*connection, io::kReadable | io::kWritable);
    server.add(*connection);
    // The first turn arms the handshake's deadline.
    connection->signal(added ? kTimerFired : kAbortAsked);
    connection->release();
}

void Connection::release() noexcept {
    // Acquire-release: pairs with the other holders' decrements, before their work is torn down.
    if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    Server& server = server_;
    delete this;
    server.destroyed_one();
}

void Connection::on_ready(io::Watch& watch, std::uint32_t events) {
    auto& connection = static_cast<Connection&>(watch);
    std::uint32_t flags = 0;
    if (events & (io::kReadable | io::kHangup)) flags |= kReadReady;
    if (events & (io::kWritable | io::kHangup)) flags |= kWriteReady;
    if (events & io::kHangup) flags |= kHungUp;
    connection.signal(flags);
}

void Connection::on_timer(rt::Timer& timer) {
    // No reference of its own: close() and arm_timer() wait until this does not run.
    static_cast<TimerSlot&>(timer).connection->signal(kTimerFired);
}

void Connection::signal(std::uint32_t flags) {
    const std::uint32_t before = flags_.fetch_or(flags, std::memory_order_release);
    // Whoever set the flags first asks for the turn that will see them.
    if ((before & flags) == flags) return;
    schedule();
}

void Connection::post(Posted& work) {
    Posted* head = posted_.load(std::memory_order_relaxed);
    do {
        work.next_ = head;
    } while (!posted_.compare_exchange_weak(head, &work, std::memory_order_release,
                                            std::memory_order_relaxed));
    if (head == nullptr) schedule();
}

bool Connection::in_turn() const noexcept {
    rt::Fiber* const fiber = rt::current();
    return fiber != nullptr && turn_fiber_.load(std::memory_order_relaxed) == fiber;
}

void Connection::begin_drain() {
    signal(kDrainAsked);
}

void Connection::abort() {
    signal(kAbortAsked);
}

void Connection::schedule() {
    const Ticks now = server_.ticks_.now();
    std::uint32_t state = state_.load(std::memory_order_relaxed);
    while (true) {
        // Always a read-modify-write, also when the state stays: the turn that follows then sees
        // what the caller has flagged or posted.
        const std::uint32_t next = state == kIdle      ? std::uint32_t{kScheduled}
                                   : state == kRunning ? std::uint32_t{kRunningAgain}
                                                       : state;
        if (state_.compare_exchange_weak(state, next, std::memory_order_acq_rel,
                                         std::memory_order_relaxed)) {
            break;
        }
    }
    if (state != kIdle) return;
    ready_at_ = now;
    retain();  // the turn's
    rt::spawn([this] { run_turns(); }, "connection");
}

void Connection::run_turns() {
    while (true) {
        state_.exchange(kRunning, std::memory_order_acq_rel);
        turn_fiber_.store(rt::current(), std::memory_order_relaxed);
        turn_began_at_ = server_.ticks_.now();
        turn(server_.clock_.now_ns());
        turn_fiber_.store(nullptr, std::memory_order_relaxed);
        // Closing has not freed this object: the turn holds a reference of its own.
        const bool open = !closed_;  // NOLINT(clang-analyzer-cplusplus.NewDelete)
        // Each of the two makes progress or clears its flag, so this does not spin.
        const bool more = open && ((readable_ && should_read()) || (writable_ && !output_.empty()));
        std::uint32_t running = kRunning;
        if (!more && state_.compare_exchange_strong(running, kIdle, std::memory_order_acq_rel,
                                                    std::memory_order_relaxed)) {
            break;
        }
        ready_at_ = server_.ticks_.now();
        rt::yield();
    }
    release();
}

bool Connection::should_read() const {
    if (input_over_ || broken_) return false;
    return lingering_ || (!finished_ && (protocol_ == nullptr || protocol_->wants_input()));
}

void Connection::turn(TimeNs now) {
    server_.turns_.fetch_add(1, std::memory_order_relaxed);
    const std::uint32_t flags = flags_.exchange(0, std::memory_order_acquire);
    if (flags & kReadReady) readable_ = true;
    if (flags & kWriteReady) writable_ = true;
    if (flags & kHungUp) hung_up_ = true;
    if (closed_) return run_posted(now);

    const bool was_serving = protocol_ && protocol_->serving();
    if (input_over_ && (flags & kHungUp)) probe_half_closed();
    if (readable_ && should_read()) read_input(now);
    run_posted(now);
    if (was_serving || (protocol_ && protocol_->serving())) silent_since_ns_ = now;
    if (flags & kTimerFired) check_timer(now);
    if ((flags & kDrainAsked) && !draining_) {
        draining_ = true;
        if (protocol_) protocol_->drain(now);
    }
    const bool wrote = !broken_ && write_output(now);
    if (broken_ || (flags & kAbortAsked)) return close(now);
    if (end_if_over(now, wrote)) return;
    keep_trimmed(flags, now);
}

// After each turn: is it over? True: it is closed.
bool Connection::end_if_over(TimeNs now, bool wrote) {
    const bool over = protocol_ ? finished_ || protocol_->finished() : input_over_ || draining_;
    if (!lingering_ && (over || input_over_) && (wrote || ends_at_ns_ == kNever)) {
        end_at(now + limits::kHalfClosedNs, now);  // for as long as the peer takes something
    }
    if (!over || !output_.empty()) return false;
    if (input_over_ || draining_ || !protocol_) {
        close(now);
        return true;
    }
    if (lingering_) return false;
    finished_ = true;
    lingering_ = true;
    (void)sys::shutdown(fd(), SHUT_WR);
    end_at(now + limits::kLingerNs, now);
    return false;
}

// The timer may fire before the latest deadline: then it is armed again.
void Connection::end_at(TimeNs deadline, TimeNs now) {
    const TimeNs before = std::exchange(ends_at_ns_, deadline);
    if (deadline < before) arm_timer(now);
}

// The server's sweep asks those connections for their memory that have had a turn lately and are
// quiet now.
void Connection::keep_trimmed(std::uint32_t flags, TimeNs now) {
    if (flags != kTrimAsked) last_turn_ns_ = now;
    if ((flags & kTrimAsked) == 0) {
        if (!std::exchange(warm_, true)) server_.keep_warm(*this);
    } else if (now - last_turn_ns_ < limits::kIdleTrimNs / 2) {
        server_.keep_warm(*this);
    } else {
        warm_ = false;
        if (protocol_) protocol_->trim();
    }
}

void Connection::read_input(TimeNs now) {
    const io::Buffer buffer = io::borrow(io::ChunkSize::kLarge);
    std::unique_ptr<TurnScratch> scratch = server_.borrow_scratch();
    std::size_t total = 0;
    while (total < limits::kReadBytesPerTurn && should_read()) {
        const ssize_t got = io::receive(fd(), buffer.span());
        if (got == -EAGAIN) {
            readable_ = false;
            break;
        }
        if (got <= 0) {
            got == 0 ? end_input(now) : void(broken_ = true);
            break;
        }
        const auto size = static_cast<std::size_t>(got);
        total += size;
        last_input_ns_ = now;
        if (!lingering_) take_input(as_text(buffer.span().first(size)), now, *scratch);
        // Edge-triggered: a short read has emptied the socket. The peer's end of stream may have
        // been reported together with these bytes, and would not be reported again.
        if (size < buffer.size() && !hung_up_) {
            readable_ = false;
            break;
        }
    }
    server_.return_scratch(std::move(scratch));
    server_.received_.fetch_add(total, std::memory_order_relaxed);
}

// The peer has shut down its sending side, or is gone altogether: the first write will tell.
void Connection::end_input(TimeNs now) {
    input_over_ = true;
    if (!protocol_ || lingering_) {
        broken_ = true;
        return;
    }
    protocol_->input_ended(now);
}

// A half-closed peer that has gone altogether is told by a reset, which only a read shows.
void Connection::probe_half_closed() {
    std::byte byte;
    const ssize_t got = io::receive(fd(), std::span(&byte, 1));
    if (got < 0 && got != -EAGAIN) broken_ = true;
}

void Connection::take_input(std::string_view bytes, TimeNs now, TurnScratch& scratch) {
    std::string early;
    if (!protocol_) {
        if (!first_bytes_.empty()) {
            early = std::move(first_bytes_);
            early.append(bytes);
            bytes = early;
        }
        detect_protocol(bytes, now);
        if (!protocol_) return;
    }
    if (!protocol_->feed(bytes, now, scratch)) finished_ = true;
    if (!pingable_ && protocol_->can_ping()) {
        pingable_ = true;
        arm_timer(now);
    }
}

void Connection::detect_protocol(std::string_view bytes, TimeNs now) {
    if (!may_begin_http(bytes.front())) {
        broken_ = true;
        return;
    }
    const std::size_t compared = std::min(bytes.size(), kHttp2Start.size());
    if (bytes.substr(0, compared) != kHttp2Start.substr(0, compared)) {
        protocol_ = server_.protocols_.http1(*this);
    } else if (compared == kHttp2Start.size()) {
        protocol_ = server_.protocols_.http2(*this, now);
    } else {
        first_bytes_.assign(bytes);
        return;
    }
    first_bytes_ = {};
}

void Connection::run_posted(TimeNs now) {
    Posted* newest = posted_.exchange(nullptr, std::memory_order_acquire);
    Posted* oldest = nullptr;
    while (newest != nullptr) {
        Posted* const next = newest->next_;
        newest->next_ = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != nullptr) {
        Posted* const next = oldest->next_;
        oldest->run_in_turn(now);
        oldest = next;
    }
}

// True: the peer's kernel has taken something.
bool Connection::write_output(TimeNs now) {
    std::size_t total = 0;
    std::array<iovec, limits::kIoVectorParts> parts;
    if (protocol_) protocol_->produce(now);
    while (writable_ && !output_.empty() && total < limits::kWriteBytesPerTurn) {
        const unsigned count = output_.gather(parts);
        const ssize_t sent = io::transmit(fd(), std::span<const iovec>(parts.data(), count));
        if (sent == -EAGAIN) {
            writable_ = false;
            break;
        }
        if (sent < 0) {
            broken_ = true;
            break;
        }
        total += static_cast<std::size_t>(sent);
        output_.consume(static_cast<std::size_t>(sent));
        if (protocol_) protocol_->produce(now);
    }
    server_.sent_.fetch_add(total, std::memory_order_relaxed);
    if (protocol_) protocol_->written();
    return total > 0;
}

void Connection::check_timer(TimeNs now) {
    const ServerConfig& config = server_.config_;
    if (now >= ends_at_ns_) {
        broken_ = true;
    } else if (!pingable_) {
        broken_ |= now - silent_since_ns_ >= config.handshake_timeout_ns;
    } else if (ping_sent_ns_ != 0 && last_input_ns_ < ping_sent_ns_) {
        broken_ |= now - ping_sent_ns_ >= config.keepalive_timeout_ns;
    } else {
        ping_sent_ns_ = 0;
        if (config.keepalive_interval_ns > 0 &&
            now - last_input_ns_ >= config.keepalive_interval_ns) {
            ping_sent_ns_ = now;
            protocol_->ping();
        }
    }
    if (!broken_) arm_timer(now);
}

TimeNs Connection::next_deadline() const {
    const ServerConfig& config = server_.config_;
    TimeNs deadline = kNever;
    if (!pingable_) {
        deadline = silent_since_ns_ + config.handshake_timeout_ns;
    } else if (ping_sent_ns_ != 0) {
        deadline = ping_sent_ns_ + config.keepalive_timeout_ns;
    } else if (config.keepalive_interval_ns > 0) {
        deadline = last_input_ns_ + config.keepalive_interval_ns;
    }
    return std::min(deadline, ends_at_ns_);
}

void Connection::arm_timer(TimeNs now) {
    disarm_timer();
    const TimeNs deadline = next_deadline();
    if (deadline == kNever) return;
    timer_.arm(std::max(deadline, now + kMillisecond), &Connection::on_timer);
}

void Connection::disarm_timer() {
    if (!timer_.cancel()) timer_.wait_idle();
}

void Connection::close(TimeNs now) {
    SLUICE_ASSERT(!closed_);
    closed_ = true;
    if (registered()) poller()->remove(*this);
    disarm_timer();
    // shutdown() first: with io_uring the kernel may hold the socket for one more turn.
    sys::shutdown(fd(), SHUT_RDWR);
    sys::close(fd());
    output_.clear();
    if (protocol_) protocol_->closed();
    output_.clear();
    run_posted(now);
    server_.remove(*this);
    release();  // the server's
}

}  // namespace sluice::net
