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

void Connection::start(Server& server, io::Descriptor socket) {
    auto* connection = new Connection(server, socket.release());
    const TimeNs now = server.clock_.now_ns();
    connection->last_input_ns_ = now;
    server.add(*connection);
    connection->retain();  // for this function
    const Status added = io::current_poller().add(*connection, io::kReadable | io::kWritable);
    if (!added) {
        connection->abort();
    } else {
        connection->signal(kTimerFired);  // the first turn arms the handshake's deadline
    }
    connection->release();
}

void Connection::release() noexcept {
    // Acquire-release: pairs with the other holders' decrements, before their work is torn down.
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

void Connection::on_ready(io::Watch& watch, std::uint32_t events) {
    auto& connection = static_cast<Connection&>(watch);
    std::uint32_t flags = 0;
    if (events & (io::kReadable | io::kHangup)) flags |= kReadReady;
    if (events & (io::kWritable | io::kHangup)) flags |= kWriteReady;
    connection.signal(flags);
}

void Connection::on_timer(rt::Timer& timer) {
    Connection& connection = *static_cast<TimerSlot&>(timer).connection;
    connection.signal(kTimerFired);
    connection.release();  // the armed timer's reference
}

void Connection::signal(std::uint32_t flags) {
    const std::uint32_t before = flags_.fetch_or(flags, std::memory_order_release);
    // A socket that became writable with nothing to write needs no turn of its own.
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
        const bool more = !closed_ && ((readable_ && !input_over_ && protocol_wants_input()) ||
                                       (writable_ && !output_.empty()));
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

bool Connection::protocol_wants_input() const {
    return protocol_ == nullptr || protocol_->wants_input();
}

void Connection::turn(TimeNs now) {
    server_.turns_.fetch_add(1, std::memory_order_relaxed);
    const std::uint32_t flags = flags_.exchange(0, std::memory_order_acquire);
    if (flags & kReadReady) readable_ = true;
    if (flags & kWriteReady) writable_ = true;
    if (closed_) return run_posted(now);

    std::unique_ptr<TurnScratch> scratch = server_.borrow_scratch();
    if (readable_ && !input_over_ && protocol_wants_input()) read_input(now, *scratch);
    server_.return_scratch(std::move(scratch));
    run_posted(now);
    if (flags & kTimerFired) check_timer(now);
    if ((flags & kDrainAsked) && protocol_) protocol_->drain(now);
    if (flags & kDrainAsked && !protocol_) input_over_ = true;
    if (!closed_) write_output(now);
    if (closed_) return;

    const bool done = (input_over_ || (protocol_ && protocol_->finished())) && output_.empty();
    if (done || (flags & kAbortAsked)) return close(now);
    if (!warm_ && (flags & kReadReady)) {
        warm_ = true;
        server_.keep_warm(*this);
    } else if (flags & kTrimAsked) {
        if (protocol_ && protocol_->idle() && now - last_input_ns_ >= limits::kIdleTrimNs / 2) {
            protocol_->trim();
            warm_ = false;
        } else if (protocol_) {
            server_.keep_warm(*this);
        }
    }
}

void Connection::read_input(TimeNs now, TurnScratch& scratch) {
    io::Buffer buffer = io::current_poller().buffers().borrow(io::ChunkSize::kLarge);
    std::size_t total = 0;
    while (total < limits::kReadBytesPerTurn && !input_over_ && protocol_wants_input()) {
        const ssize_t got = io::receive(fd(), buffer.span());
        if (got == -EAGAIN) {
            readable_ = false;
            break;
        }
        if (got <= 0) {
            // The peer will send no more. What it asked for is dropped: it cannot have a use for
            // answers once it has closed, and half-open clients must not hold memory.
            input_over_ = true;
            output_.clear();
            break;
        }
        const auto size = static_cast<std::size_t>(got);
        total += size;
        last_input_ns_ = now;
        take_input(as_text(buffer.span().first(size)), now, scratch);
        // Edge-triggered: a short read has emptied the socket, unless the peer has closed it too,
        // and then another event comes.
        if (size < buffer.size()) {
            readable_ = false;
            break;
        }
    }
    server_.received_.fetch_add(total, std::memory_order_relaxed);
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
    if (!protocol_->feed(bytes, now, scratch)) input_over_ = true;
}

void Connection::detect_protocol(std::string_view bytes, TimeNs now) {
    const std::size_t compared = std::min(bytes.size(), kHttp2Start.size());
    if (bytes.substr(0, compared) != kHttp2Start.substr(0, compared)) {
        protocol_ = server_.protocols_.http1(*this);
    } else if (compared == kHttp2Start.size()) {
        protocol_ = server_.protocols_.http2(*this, now);
    } else {
        first_bytes_.assign(bytes);
        return;
    }
    first_bytes_.shrink_to_fit();
    arm_timer(now);
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

void Connection::write_output(TimeNs now) {
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
            output_.clear();
            input_over_ = true;
            break;
        }
        total += static_cast<std::size_t>(sent);
        output_.consume(static_cast<std::size_t>(sent));
        if (protocol_) protocol_->produce(now);
    }
    server_.sent_.fetch_add(total, std::memory_order_relaxed);
}

void Connection::check_timer(TimeNs now) {
    const ServerConfig& config = server_.config_;
    if (!protocol_) {
        if (now - last_input_ns_ >= config.handshake_timeout_ns) {
            input_over_ = true;
            return;
        }
    } else if (ping_sent_ns_ != 0) {
        if (last_input_ns_ >= ping_sent_ns_) {
            ping_sent_ns_ = 0;
        } else if (now - ping_sent_ns_ >= config.keepalive_timeout_ns) {
            output_.clear();
            input_over_ = true;
            return;
        }
    } else if (config.keepalive_interval_ns > 0 &&
               now - last_input_ns_ >= config.keepalive_interval_ns) {
        ping_sent_ns_ = now;
        protocol_->ping();
    }
    arm_timer(now);
}

void Connection::arm_timer(TimeNs now) {
    const ServerConfig& config = server_.config_;
    TimeNs deadline = kNever;
    if (!protocol_) {
        deadline = last_input_ns_ + config.handshake_timeout_ns;
    } else if (ping_sent_ns_ != 0) {
        deadline = ping_sent_ns_ + config.keepalive_timeout_ns;
    } else if (config.keepalive_interval_ns > 0) {
        deadline = last_input_ns_ + config.keepalive_interval_ns;
    }
    if (timer_.cancel()) release();
    if (deadline == kNever) return;
    retain();
    timer_.arm(std::max(deadline, now + kMillisecond), &Connection::on_timer);
}

void Connection::close(TimeNs now) {
    SLUICE_ASSERT(!closed_);
    closed_ = true;
    if (registered()) poller()->remove(*this);
    // shutdown() first: with io_uring the kernel may hold the socket for one more turn.
    sys::shutdown(fd(), SHUT_RDWR);
    sys::close(fd());
    output_.clear();
    if (timer_.cancel()) release();
    if (protocol_) protocol_->closed();
    run_posted(now);
    server_.remove(*this);
    release();  // the server's
}

}  // namespace sluice::net
