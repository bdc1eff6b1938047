#include "io/uring_poller.h"

#include <poll.h>

#include <atomic>
#include <cerrno>
#include <ctime>
#include <utility>

#include "base/check.h"
#include "io/operation.h"

namespace sluice::io {
namespace {

// Linux 6.15; newer than our kernel headers. A thread that waits for I/O is then not shown as
// iowait.
constexpr unsigned kFeatureNoIowait = 1u << 17;
constexpr unsigned kEnterNoIowait = 1u << 7;

unsigned to_poll(std::uint32_t interest) {
    unsigned mask = POLLRDHUP;
    if ((interest & kReadable) != 0) mask |= POLLIN;
    if ((interest & kWritable) != 0) mask |= POLLOUT;
    return mask;
}

std::uint32_t from_poll(int result) {
    if (result < 0) return kReadable | kWritable | kHangup;
    const auto mask = static_cast<unsigned>(result);
    std::uint32_t ready = 0;
    if ((mask & POLLIN) != 0) ready |= kReadable;
    if ((mask & POLLOUT) != 0) ready |= kWritable;
    if ((mask & (POLLHUP | POLLRDHUP | POLLERR)) != 0) ready |= kHangup;
    return ready;
}

// The entry's user_data is left to the caller.
void fill(io_uring_sqe* sqe, const Operation::Arguments& a) {
    using Kind = Operation::Kind;
    const auto offset = static_cast<off_t>(a.offset);
    switch (a.kind) {
        case Kind::kRead:
            return io_uring_prep_read(sqe, a.fd, const_cast<void*>(a.address), a.count, a.offset);
        case Kind::kWrite:
            return io_uring_prep_write(sqe, a.fd, a.address, a.count, a.offset);
        case Kind::kReadv:
            return io_uring_prep_readv(sqe, a.fd, static_cast<const iovec*>(a.address), a.count,
                                       a.offset);
        case Kind::kWritev:
            return io_uring_prep_writev(sqe, a.fd, static_cast<const iovec*>(a.address), a.count,
                                        a.offset);
        case Kind::kFsync:
            return io_uring_prep_fsync(sqe, a.fd, 0);
        case Kind::kFdatasync:
            return io_uring_prep_fsync(sqe, a.fd, IORING_FSYNC_DATASYNC);
        case Kind::kFallocate:
            return io_uring_prep_fallocate(sqe, a.fd, 0, offset, static_cast<off_t>(a.bytes));
        case Kind::kSplice:
            return io_uring_prep_splice(sqe, a.from_fd, static_cast<std::int64_t>(a.from_offset),
                                        a.fd, offset, a.count, 0);
    }
    SLUICE_CHECK(false);
}

// The kernel's own numbers for an interrupted call (ERESTARTSYS and its kin), which a system call
// never shows, come through the ring where the worker of a cancelled splice was asleep.
int without_restarts(int result) {
    constexpr int kRestartFirst = 512;
    constexpr int kRestartLast = 516;
    return -result >= kRestartFirst && -result <= kRestartLast ? -EINTR : result;
}

unsigned load_acquire(unsigned* shared) {
    return std::atomic_ref<unsigned>(*shared).load(std::memory_order_acquire);
}

}  // namespace

UringPoller::UringPoller() = default;

UringPoller::~UringPoller() {
    SLUICE_CHECK(operations_.load(std::memory_order_relaxed) == 0);
    if (ring_ready_) io_uring_queue_exit(&ring_);
}

Result<std::unique_ptr<UringPoller>> UringPoller::create() {
    std::unique_ptr<UringPoller> poller(new UringPoller);
    const int result = poller->set_up();
    if (result == 0) return poller;
    return fail(Code::kUnavailable, Error::from_errno(result, "set up io_uring").message());
}

// Tries the best set of flags first; -EINVAL means that the kernel does not know one of them.
int UringPoller::set_up() {
    constexpr unsigned kAlways = IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE;
    constexpr unsigned kChoices[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        0,
    };
    int result = -EINVAL;
    for (const unsigned choice : kChoices) {
        io_uring_params params{};
        params.flags = kAlways | choice;
        params.cq_entries = limits::kUringCompletions;
        result = io_uring_queue_init_params(limits::kUringSubmissions, &ring_, &params);
        if (result != -EINVAL) break;
    }
    if (result < 0) return result;
    ring_ready_ = true;
    // Both came with Linux 5.11 or 5.13 as multishot polls did; below that we do not use the ring.
    constexpr unsigned kNeeded = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_RSRC_TAGS;
    return (ring_.features & kNeeded) == kNeeded ? 0 : -ENOSYS;
}

void UringPoller::start() {
    // io_uring_enable_rings() by hand: Debian 12's shared liburing does not export it.
    const int result = io_uring_register(static_cast<unsigned>(ring_.ring_fd),
                                         IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
    SLUICE_CHECK(result >= 0);
    watches_.bind_worker();
    started_ = true;
    prepare_poll(wake_.fd(), POLLIN, kWakeToken);
}

Status UringPoller::add(Watch& watch, std::uint32_t interest) {
    SLUICE_TRY_ASSIGN(const WatchTable::Token token, watches_.insert(watch, *this, interest));
    push({.token = token, .kind = Command::Kind::kArm});
    return {};
}

void UringPoller::remove(Watch& watch) {
    SLUICE_CHECK(watch.poller() == this);
    const WatchTable::Token token = watches_.token_of(watch);
    watches_.erase(watch);
    push({.token = token, .kind = Command::Kind::kEnd});
}

void UringPoller::submit(Operation& operation) {
    const auto address = reinterpret_cast<std::uintptr_t>(&operation);
    SLUICE_ASSERT((address & kOperationBit) == 0);
    operations_.fetch_add(1, std::memory_order_relaxed);
    push({.token = kOperationBit | address, .kind = Command::Kind::kOperation});
}

// A cancellation that finds its operation done does nothing. It cannot hit a later operation whose
// record lies at the same address: commands are kept in order, and the later one's is pushed after
// this call has returned.
void UringPoller::cancel(Operation& operation) noexcept {
    const auto address = reinterpret_cast<std::uintptr_t>(&operation);
    push({.token = kOperationBit | address, .kind = Command::Kind::kEnd});
}

void UringPoller::push(Command command) {
    {
        SpinGuard guard(commands_lock_);
        commands_.push_back(command);
    }
    if (!watches_.on_worker()) wake();
}

void UringPoller::prepare_commands() {
    {
        SpinGuard guard(commands_lock_);
        std::swap(commands_, taken_commands_);
    }
    for (const Command& command : taken_commands_) prepare(command);
    taken_commands_.clear();
    // What a burst of new connections has grown goes back.
    if (taken_commands_.capacity() > limits::kUringSubmissions) taken_commands_.shrink_to_fit();
}

// An arm whose Watch has gone meanwhile is dropped. If it goes only after the look here, the poll
// may be armed on a descriptor that was closed or reused: its events are stale, and the end that
// follows in the queue takes it away.
void UringPoller::prepare(const Command& command) {
    if (command.kind == Command::Kind::kOperation) {
        prepare_operation(command.token);
    } else if (command.kind == Command::Kind::kEnd) {
        io_uring_sqe* sqe = next_sqe();
        // Not a poll removal: that fails (-EALREADY) while an event of the poll is on its way,
        // and the poll would hold the socket open for ever. A cancel ends it after that event.
        io_uring_prep_cancel64(sqe, command.token, 0);
        sqe->user_data = kIgnoredToken;
    } else if (command.token == kWakeToken) {
        prepare_poll(wake_.fd(), POLLIN, kWakeToken);
    } else {
        WatchTable::Registration registration{};
        if (!watches_.find(command.token, registration)) return;
        prepare_poll(registration.fd, to_poll(registration.interest), command.token);
    }
}

void UringPoller::prepare_operation(std::uint64_t token) {
    const auto* const operation =
        reinterpret_cast<const Operation*>(static_cast<std::uintptr_t>(token & ~kOperationBit));
    io_uring_sqe* sqe = next_sqe();
    fill(sqe, operation->arguments());
    sqe->user_data = token;
}

void UringPoller::prepare_poll(int fd, unsigned mask, std::uint64_t token) {
    io_uring_sqe* sqe = next_sqe();
    io_uring_prep_poll_multishot(sqe, fd, mask);
    sqe->user_data = token;
}

io_uring_sqe* UringPoller::next_sqe() {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (sqe != nullptr) return sqe;
    enter(0, 0);
    sqe = io_uring_get_sqe(&ring_);
    SLUICE_CHECK(sqe != nullptr);
    return sqe;
}

// Shows the kernel the prepared entries (what io_uring_submit() does before its system call) and
// returns how many it has not taken yet.
unsigned UringPoller::publish_submissions() noexcept {
    io_uring_sq& sq = ring_.sq;
    unsigned tail = *sq.ktail;
    for (; sq.sqe_head != sq.sqe_tail; ++sq.sqe_head, ++tail) {
        sq.array[tail & sq.ring_mask] = sq.sqe_head & sq.ring_mask;
    }
    std::atomic_ref<unsigned>(*sq.ktail).store(tail, std::memory_order_release);
    return tail - load_acquire(sq.khead);
}

// One system call: submits, lets the kernel run what it has deferred, and waits if wait_for > 0.
void UringPoller::enter(unsigned wait_for, TimeNs timeout_ns) {
    __kernel_timespec timeout{.tv_sec = timeout_ns / kSecond, .tv_nsec = timeout_ns % kSecond};
    io_uring_getevents_arg argument{};
    if (wait_for > 0 && timeout_ns != kNever) {
        argument.ts = reinterpret_cast<std::uintptr_t>(&timeout);
    }
    unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
    if ((ring_.features & kFeatureNoIowait) != 0) flags |= kEnterNoIowait;
    const unsigned to_submit = publish_submissions();
    if (to_submit > 0) rt::record_io_submit(to_submit);
    ++system_calls_;
    // The signal-set parameter carries the argument when EXT_ARG is set; hence the cast.
    const int result =
        io_uring_enter2(static_cast<unsigned>(ring_.ring_fd), to_submit, wait_for, flags,
                        reinterpret_cast<sigset_t*>(&argument), sizeof argument);
    const bool harmless = result >= 0 || result == -ETIME || result == -EINTR ||
                          result == -EAGAIN || result == -EBUSY;
    SLUICE_CHECK(harmless);
}

unsigned UringPoller::poll(TimeNs timeout_ns) {
    const WatchTable::Turn turn(watches_);
    if (!started_) start();
    prepare_commands();
    const bool to_submit = ring_.sq.sqe_head != ring_.sq.sqe_tail;
    if (io_uring_cq_ready(&ring_) == 0 && timeout_ns > 0) {
        enter(1, timeout_ns);
    } else if (to_submit || kernel_has_work()) {
        enter(0, 0);
    }
    collect_deferred();
    return reap();
}

rt::Poller::Waiting UringPoller::waiting() noexcept {
    const WatchTable::Turn turn(watches_, std::try_to_lock);
    if (!turn || !started_ || idle()) return Waiting::kNothing;
    if (io_uring_cq_ready(&ring_) > 0) return Waiting::kForAny;
    return kernel_has_work() ? Waiting::kForOwner : Waiting::kNothing;
}

unsigned UringPoller::poll_for_other() {
    const WatchTable::Turn turn(watches_, std::try_to_lock);
    return turn && started_ ? reap() : 0;
}

// Nothing but a system call, by liburing's own instruction: it leaves errno alone. What it fails
// with does not matter: it is tried again.
void UringPoller::collect_on_signal() noexcept {
    if (!started_) return;
    (void)io_uring_enter2(static_cast<unsigned>(ring_.ring_fd), 0, 0, IORING_ENTER_GETEVENTS,
                          nullptr, 0);
}

// With DEFER_TASKRUN a call may yield no more than 20 completions; the flag says if there are more.
//
// The flag may lie: whoever makes work for the ring queues it first and sets the flag then, so a
// call that comes in between runs the work, and the flag is set when nothing is left. It stays
// until the next work is run; calls without work do not clear it. So a call that has brought
// nothing is the last one of this turn. Going on would wait for the next event, which may never
// come: the peers may be waiting for answers to the very completions that lie in the ring.
void UringPoller::collect_deferred() {
    if ((ring_.flags & IORING_SETUP_DEFER_TASKRUN) == 0) return;
    unsigned collected = io_uring_cq_ready(&ring_);
    while (kernel_has_work() && collected < limits::kEventsPerPoll) {
        enter(0, 0);
        const unsigned now = io_uring_cq_ready(&ring_);
        if (now == collected) return;
        collected = now;
    }
}

// True if a call may bring completions: deferred ones, or those that found the ring full. Without
// the flag only the call itself can tell.
bool UringPoller::kernel_has_work() noexcept {
    if ((ring_.flags & IORING_SETUP_TASKRUN_FLAG) == 0) return true;
    return (load_acquire(ring_.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

// Copies a batch out of the ring first: callbacks may add and remove.
unsigned UringPoller::reap() {
    unsigned count = 0;
    unsigned head = 0;
    io_uring_cqe* cqe = nullptr;
    io_uring_for_each_cqe(&ring_, head, cqe) {
        if (count == completions_.size()) break;
        completions_[count++] = {cqe->user_data, cqe->res, cqe->flags};
    }
    io_uring_cq_advance(&ring_, count);
    unsigned dispatched = 0;
    for (unsigned i = 0; i < count; ++i) {
        const Completion& done = completions_[i];
        if (complete(done.token, done.result, done.flags)) ++dispatched;
    }
    return dispatched;
}

// A multishot poll that has ended by itself (the kernel ran out of room, or such) is armed again:
// the kernel then reports what is ready at that moment, so no edge is lost. One that was refused
// (a bad descriptor) is not; its owner hears of it as a hang-up.
bool UringPoller::complete(std::uint64_t token, int result, unsigned flags) {
    const bool ended = (flags & IORING_CQE_F_MORE) == 0;
    if (token == kIgnoredToken) return false;
    if ((token & kOperationBit) != 0) {
        operations_.fetch_sub(1, std::memory_order_relaxed);
        auto* const operation =
            reinterpret_cast<Operation*>(static_cast<std::uintptr_t>(token & ~kOperationBit));
        operation->complete(without_restarts(result));
        return true;
    }
    if (token == kWakeToken) {
        wake_.consume();
        // Not at once: another worker may be at it, and only ours may submit.
        if (ended) push({.token = kWakeToken, .kind = Command::Kind::kArm});
        return false;
    }
    if (ended && result >= 0) push({.token = token, .kind = Command::Kind::kArm});
    return watches_.dispatch(token, from_poll(result));
}

}  // namespace sluice::io
