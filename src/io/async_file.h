// AsyncFile: a file for fibers. Its calls suspend the fiber where those of io/file.h block the
// thread, and each takes a Context: a deadline, or somebody's cancel.
//
//   SLUICE_TRY_ASSIGN(AsyncFile file, AsyncFile::open(path, OpenMode::kReadWrite));
//   sync::Context soon(&request_context, sync::deadline_after(kSecond));
//   SLUICE_TRY_ASSIGN(const std::size_t n, file.pread(buffer, offset, soon));
//   SLUICE_TRY(file.pwrite(record, end, soon));
//   SLUICE_TRY(file.fdatasync(soon));
//
// With the io_uring poller a call is an entry in the worker's ring, batched with its others; with
// epoll a thread of the blocking pool makes the call (io/operation.h; numbers in docs/io.md).
// open() and size() use the pool with both.
//
// On fibers; several may use one file at once. All calls suspend, none blocks.
//
// Buffers belong to the caller and may go when the call has returned, whatever it returned: a fiber
// whose context ends waits until the kernel has let go of the buffer. So a deadline ends what the
// kernel can call off (what is still queued, pipes, network file systems that allow it), and is
// late where it cannot: a transfer that the disk has begun, a sync, and with epoll anything that a
// pool thread has begun.
//
// Errors: as io/file.h, and the context's: kCancelled, kDeadlineExceeded. After such an error a
// write may have been made in part, and a sync may or may not have been made.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"
#include "io/descriptor.h"
#include "io/file.h"
#include "io/operation.h"
#include "sync/context.h"

namespace sluice::io {

class AsyncFile {
  public:
    static Result<AsyncFile> open(const std::string& path, OpenMode mode);
    // Takes over a descriptor; `name` is for messages.
    AsyncFile(Descriptor fd, std::string name) noexcept
        : fd_(std::move(fd)), name_(std::move(name)) {}
    // The destructor closes, without a sync, when no call is under way.
    AsyncFile(AsyncFile&&) noexcept = default;
    AsyncFile& operator=(AsyncFile&&) noexcept = default;

    // Reads until `to` is full or the file ends. Returns the number of bytes; less means the end.
    Result<std::size_t> pread(std::span<std::byte> to, std::uint64_t offset,
                              const sync::Context& context = sync::Context::background());
    // The same into several parts, in order.
    Result<std::size_t> preadv(std::span<const iovec> to, std::uint64_t offset,
                               const sync::Context& context = sync::Context::background());
    // Writes all bytes or fails; after a failure any part of them may have been written.
    Status pwrite(std::span<const std::byte> from, std::uint64_t offset,
                  const sync::Context& context = sync::Context::background());
    // The same from several parts, in order.
    Status pwritev(std::span<const iovec> from, std::uint64_t offset,
                   const sync::Context& context = sync::Context::background());

    // Makes the bytes durable; fsync() also the times and the like. Not to be retried after an
    // error of the disk: see io/file.h.
    Status fsync(const sync::Context& context = sync::Context::background());
    Status fdatasync(const sync::Context& context = sync::Context::background());
    // Reserves disk space for the range; the file grows to its end, and new bytes read as zero.
    // kUnimplemented where the file system cannot reserve.
    Status fallocate(std::uint64_t offset, std::uint64_t bytes,
                     const sync::Context& context = sync::Context::background());
    Result<std::uint64_t> size();

    int fd() const noexcept { return fd_.get(); }

  private:
    Result<std::size_t> perform(Operation operation, const sync::Context& context,
                                const char* call);

    Descriptor fd_;
    std::string name_;
};

}  // namespace sluice::io
