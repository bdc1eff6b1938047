// The poller on io_uring: one ring a worker, multishot polls, one io_uring_enter a turn at most.
//
// A registration is a multishot POLL_ADD, which the kernel makes edge-triggered. add() and remove()
// only write down a command; the worker's next poll() turns all commands into submissions and hands
// them over with the very system call that waits. A turn with nothing to submit and nothing
// signalled by the kernel (IORING_SQ_TASKRUN) makes no system call at all.
//
// An operation (io/operation.h) is one entry, written when the commands are, so that all that
// fibers have started since the last turn go with one call.
//
// Flags: SINGLE_ISSUER and DEFER_TASKRUN (Linux 6.1), so that completions are produced only when
// the worker asks for them; where they are missing, COOP_TASKRUN or none. The ring is created
// disabled and enabled by the first poll(), which binds it to that thread: all polls are made by
// one thread. Others may take completions out of the ring while that is stuck; only a signal to it
// can bring deferred ones there. A wait's timeout goes with the call (EXT_ARG), not through the
// ring.
#pragma once

#include <liburing.h>

#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include "io/readiness.h"
#include "io/wake_event.h"
#include "io/watch_table.h"

namespace sluice::io {

class UringPoller final : public Poller {
  public:
    // kUnavailable: forbidden here, or the kernel is too old for multishot polls (5.13).
    static Result<std::unique_ptr<UringPoller>> create();
    ~UringPoller() override;

    unsigned poll(TimeNs timeout_ns) override;
    Waiting waiting() noexcept override;
    unsigned poll_for_other() override;
    void collect_on_signal() noexcept override;
    void wake() noexcept override { wake_.signal(); }
    bool idle() const override {
        return watches_.size() == 0 && operations_.load(std::memory_order_relaxed) == 0;
    }

    Status add(Watch& watch, std::uint32_t interest) override;
    void remove(Watch& watch) override;
    bool completes_operations() const noexcept override { return true; }
    void submit(Operation& operation) override;
    void cancel(Operation& operation) noexcept override;
    const char* name() const noexcept override { return "io_uring"; }

    // io_uring_enter calls so far; for tests and statistics. Worker only.
    std::uint64_t system_calls() const noexcept { return system_calls_; }

  private:
    friend class UringPollerPeer;  // the tests'

    // Tokens of the table have a generation in the upper half, between 1 and 2^31: these cannot
    // occur, nor can those with the highest bit, whose rest is the address of an Operation.
    static constexpr std::uint64_t kWakeToken = 1;
    static constexpr std::uint64_t kIgnoredToken = 2;
    static constexpr std::uint64_t kOperationBit = std::uint64_t{1} << 63;

    struct Command {
        enum class Kind : std::uint8_t { kArm, kOperation, kEnd };  // kEnd: of either
        WatchTable::Token token;
        Kind kind;
    };

    UringPoller();
    int set_up();
    void start();
    void push(Command command);
    void prepare_commands();
    void prepare(const Command& command);
    void prepare_operation(std::uint64_t token);
    void prepare_poll(int fd, unsigned mask, std::uint64_t token);
    io_uring_sqe* next_sqe();
    unsigned publish_submissions() noexcept;
    void collect_deferred();
    bool kernel_has_work() noexcept;
    void enter(unsigned wait_for, TimeNs timeout_ns);
    unsigned reap();
    bool complete(std::uint64_t token, int result, unsigned flags);

    io_uring ring_{};
    bool ring_ready_ = false;
    bool started_ = false;
    std::uint64_t system_calls_ = 0;
    WakeEvent wake_;
    WatchTable watches_;
    std::atomic<std::uint32_t> operations_{0};  // submitted, not completed
    SpinLock commands_lock_;
    std::vector<Command> commands_ SLUICE_GUARDED_BY(commands_lock_);
    std::vector<Command> taken_commands_;
    struct Completion {
        std::uint64_t token;
        int result;
        unsigned flags;
    };
    std::array<Completion, limits::kEventsPerPoll> completions_;
};

}  // namespace sluice::io
