// Operation: one call on a file that a fiber hands over and waits for. Internal to the layer; users
// have io/async_file.h.
//
//   Operation read = Operation::read(fd, buffer, offset);
//   const std::int64_t n = read.run(context);  // bytes, or -errno; -ECANCELED: see below
//
// Where the worker's poller completes operations (io_uring), run() adds an entry to the worker's
// ring: all operations that fibers have started since go to the kernel with the call that waits.
// Elsewhere (epoll, simulation) the call is made by a thread of the blocking pool.
//
// WHO OWNS THE BUFFER. The caller, and the record lies on its stack. So run() returns only after
// the kernel has said its last word on the operation, also when the context has ended: the fiber
// then asks the kernel to cancel, and waits on until the cancelled operation itself has completed.
// After run() the kernel touches neither buffer nor record, whatever the outcome; they may be freed
// at once. What cannot be cancelled any more (a disk transfer, a call that a pool thread is in)
// delays the return, and its result is returned although the context has ended.
//
//   made --submit--> in flight --completion--> done          submit and completion once each
//                     |      ^
//                     '-cancel (any number of times; only asks)
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "io/readiness.h"
#include "sync/context.h"
#include "sync/waiter.h"

namespace sluice::io {

class Operation {
  public:
    enum class Kind : std::uint8_t {
        kRead,
        kWrite,
        kReadv,
        kWritev,
        kFsync,
        kFdatasync,
        kFallocate,
        kSplice,
    };

    // As an offset: the descriptor's own position; for pipes.
    static constexpr std::uint64_t kNoOffset = UINT64_MAX;

    // At most limits::kOperationBytesMax are moved, at most limits::kIoVectorParts parts taken.
    static Operation read(int fd, std::span<std::byte> to, std::uint64_t offset) noexcept;
    static Operation write(int fd, std::span<const std::byte> from, std::uint64_t offset) noexcept;
    // The parts themselves must live until run() returns, too.
    static Operation readv(int fd, std::span<const iovec> to, std::uint64_t offset) noexcept;
    static Operation writev(int fd, std::span<const iovec> from, std::uint64_t offset) noexcept;
    static Operation fsync(int fd) noexcept;
    static Operation fdatasync(int fd) noexcept;
    static Operation fallocate(int fd, std::uint64_t offset, std::uint64_t bytes) noexcept;
    // From one descriptor into another without passing through user memory; one of them is a pipe.
    static Operation splice(int from, std::uint64_t from_offset, int to, std::uint64_t to_offset,
                            std::size_t bytes) noexcept;

    // On a fiber, once. Suspends. What the call of the same name returns, or -errno. -ECANCELED:
    // the context ended, and nothing was done, or not all that can be told.
    std::int64_t run(const sync::Context& context);

    // For pollers.
    struct Arguments {
        Kind kind = Kind::kRead;
        int fd = -1;
        int from_fd = -1;               // kSplice
        std::uint32_t count = 0;        // bytes, or parts
        const void* address = nullptr;  // the buffer, or the parts
        std::uint64_t offset = 0;
        std::uint64_t from_offset = 0;  // kSplice
        std::uint64_t bytes = 0;        // kFallocate
    };
    const Arguments& arguments() const noexcept { return arguments_; }
    // By the poller, once, with what the kernel has answered. Afterwards the record may be gone.
    void complete(std::int64_t result) noexcept;

  private:
    class Await;

    explicit Operation(const Arguments& arguments) noexcept : arguments_(arguments) {}
    std::int64_t run_on(Poller& poller, const sync::Context& context);
    std::int64_t run_blocking(const sync::Context& context);
    std::int64_t call() const noexcept;

    const Arguments arguments_;
    std::int64_t result_ = 0;
    sync::Waiter* waiter_ = nullptr;
};

}  // namespace sluice::io
