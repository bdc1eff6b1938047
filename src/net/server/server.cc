#include "net/server/server.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/check.h"
#include "io/socket.h"
#include "net/server/connection.h"
#include "rt/runtime.h"
#include "rt/timer.h"

namespace sluice::net {

Server::Server(ServerConfig config, ProtocolFactory& protocols, const Clock& clock,
               const TickClock& ticks)
    : config_(config), protocols_(protocols), clock_(clock), ticks_(ticks) {
    sweep_timer_.server = this;
}

Server::~Server() {
    SLUICE_CHECK(listeners_.empty());
    SpinGuard guard(lock_);
    SLUICE_CHECK(open_ == 0 && first_ == nullptr && alive_ == 0);
}

Result<io::Address> Server::listen(const io::Address& address) {
    SLUICE_TRY_ASSIGN(io::Descriptor socket, io::listen_tcp(address));
    auto listener = std::make_unique<io::Listener>(
        std::move(socket),
        [this](io::Descriptor connection, const io::Address&) { accept(std::move(connection)); });
    SLUICE_TRY_ASSIGN(const io::Address bound, listener->address());
    accepting_.spawn(
        [this, accepting = listener.get()] { return accepting->run(accepting_.context()); },
        "accept");
    listeners_.push_back(std::move(listener));
    return bound;
}

// On the listener's fiber.
void Server::accept(io::Descriptor socket) {
    accepted_.fetch_add(1, std::memory_order_relaxed);
    {
        SpinGuard guard(lock_);
        if (stopping_ || open_ + starting_ >= config_.connections_max) {
            refused_.fetch_add(1, std::memory_order_relaxed);
            return;
        }
        starting_ += 1;
    }
    rt::Runtime& runtime = rt::Runtime::current();
    const unsigned worker = next_worker_++ % runtime.active_workers();
    rt::spawn_on(
        runtime, worker,
        [this, owned = std::move(socket)]() mutable { Connection::start(*this, std::move(owned)); },
        "accept");
}

void Server::add(Connection& connection) {
    bool late = false;
    {
        SpinGuard guard(lock_);
        SLUICE_ASSERT(starting_ > 0);
        starting_ -= 1;
        open_ += 1;
        alive_ += 1;
        connection.list_next_ = first_;
        if (first_ != nullptr) first_->list_previous_ = &connection;
        first_ = &connection;
        late = stopping_;
    }
    if (late) connection.abort();
}

void Server::remove(Connection& connection) {
    rt::Fiber* stopper = nullptr;
    {
        SpinGuard guard(lock_);
        (connection.list_previous_ ? connection.list_previous_->list_next_ : first_) =
            connection.list_next_;
        if (connection.list_next_)
            connection.list_next_->list_previous_ = connection.list_previous_;
        SLUICE_ASSERT(open_ > 0);
        open_ -= 1;
        stopper = take_stopper();
    }
    if (stopper) rt::ready(stopper);
}

void Server::destroyed_one() {
    rt::Fiber* stopper = nullptr;
    {
        SpinGuard guard(lock_);
        SLUICE_ASSERT(alive_ > 0);
        alive_ -= 1;
        stopper = take_stopper();
    }
    // If there is none the server may be gone by now.
    if (stopper) rt::ready(stopper);
}

bool Server::reached(Until until) const {
    return open_ == 0 && starting_ == 0 && (until == Until::kClosed || alive_ == 0);
}

rt::Fiber* Server::take_stopper() {
    return reached(stopper_until_) ? std::exchange(stopper_, nullptr) : nullptr;
}

template <class F>
void Server::for_each(F&& f) {
    std::vector<Connection*> all;
    {
        SpinGuard guard(lock_);
        all.reserve(open_);
        for (Connection* c = first_; c != nullptr; c = c->list_next_) {
            c->retain();
            all.push_back(c);
        }
    }
    for (Connection* c : all) {
        f(*c);
        c->release();
    }
}

void Server::stop(TimeNs deadline_ns) {
    accepting_.cancel("the server stops");
    (void)accepting_.wait();
    listeners_.clear();
    {
        SpinGuard guard(lock_);
        stopping_ = true;
    }
    for_each([](Connection& c) { c.begin_drain(); });
    if (!wait(Until::kClosed, deadline_ns)) {
        for_each([](Connection& c) { c.abort(); });
        wait(Until::kClosed, kNever);
    }
    // No connection arms the timer any more; a sweep that runs now may do so once.
    while (!sweep_timer_.cancel()) {
        sweep_timer_.wait_idle();
        if (!sweep_timer_.armed()) break;
    }
    while (sweep() != kNever) {
    }
}

void Server::join() {
    wait(Until::kDestroyed, kNever);
}

bool Server::wait(Until until, TimeNs deadline_ns) {
    struct Deadline : rt::Timer {
        Server* server = nullptr;
        bool passed = false;
    } deadline;
    deadline.server = this;
    const auto expired = [](rt::Timer& timer) {
        auto& self = static_cast<Deadline&>(timer);
        rt::Fiber* stopper = nullptr;
        {
            SpinGuard guard(self.server->lock_);
            stopper = std::exchange(self.server->stopper_, nullptr);
            self.passed = stopper != nullptr;
        }
        if (stopper) rt::ready(stopper);
    };
    if (deadline_ns != kNever) deadline.arm(deadline_ns, expired);
    rt::park(rt::WaitReason::kGroup, [this, until](rt::Fiber* fiber) {
        SpinGuard guard(lock_);
        if (reached(until)) return false;
        stopper_until_ = until;
        stopper_ = fiber;
        return true;
    });
    deadline.cancel();
    deadline.wait_idle();
    return !deadline.passed;
}

void Server::keep_warm(Connection& connection) {
    bool arm = false;
    {
        SpinGuard guard(lock_);
        if (stopping_) return;
        connection.retain();
        warm_.push_back(&connection);
        arm = !std::exchange(sweeping_, true);
    }
    if (arm) sweep_timer_.arm(clock_.now_ns() + limits::kIdleTrimNs, &Server::on_sweep);
}

void Server::on_sweep(rt::Timer& timer) {
    Server& server = *static_cast<SweepTimer&>(timer).server;
    const TimeNs pause_ns = server.sweep();
    if (pause_ns != kNever) timer.arm(server.clock_.now_ns() + pause_ns, &Server::on_sweep);
}

// Asks connections that have run lately whether they are idle now, a batch at a time: each answers
// in a turn, and so many fibers at once as there are connections would take more memory than they
// give back.
TimeNs Server::sweep() {
    std::array<Connection*, limits::kIdleTrimBatch> batch;
    std::size_t count = 0;
    TimeNs pause_ns = limits::kIdleTrimNs;
    {
        SpinGuard guard(lock_);
        if (cooling_.empty()) cooling_.swap(warm_);
        if (cooling_.empty()) {
            sweeping_ = false;
            return kNever;
        }
        count = std::min(cooling_.size(), batch.size());
        std::copy(cooling_.end() - static_cast<std::ptrdiff_t>(count), cooling_.end(),
                  batch.begin());
        cooling_.resize(cooling_.size() - count);
        if (cooling_.empty()) {
            cooling_.shrink_to_fit();
        } else {
            pause_ns = limits::kIdleTrimPauseNs;
        }
    }
    for (Connection* connection : std::span(batch).first(count)) {
        connection->signal(Connection::kTrimAsked);
        connection->release();
    }
    return pause_ns;
}

std::unique_ptr<TurnScratch> Server::borrow_scratch() {
    {
        SpinGuard guard(lock_);
        if (!scratch_.empty()) {
            auto scratch = std::move(scratch_.back());
            scratch_.pop_back();
            return scratch;
        }
    }
    return std::make_unique<TurnScratch>();
}

void Server::return_scratch(std::unique_ptr<TurnScratch> scratch) {
    SpinGuard guard(lock_);
    scratch_.push_back(std::move(scratch));
}

ServerCounters Server::counters() const {
    ServerCounters counters;
    counters.accepted = accepted_.load(std::memory_order_relaxed);
    counters.refused = refused_.load(std::memory_order_relaxed);
    counters.bytes_received = received_.load(std::memory_order_relaxed);
    counters.bytes_sent = sent_.load(std::memory_order_relaxed);
    counters.turns = turns_.load(std::memory_order_relaxed);
    SpinGuard guard(lock_);
    counters.open = open_;
    return counters;
}

}  // namespace sluice::net
