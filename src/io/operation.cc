#include "io/operation.h"

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "base/check.h"
#include "base/limits.h"
#include "base/syscall.h"
#include "rt/blocking.h"

namespace sluice::io {
namespace {

constexpr std::uint32_t kCompleted = 1;

std::uint32_t bounded(std::size_t bytes) noexcept {
    return static_cast<std::uint32_t>(std::min(bytes, limits::kOperationBytesMax));
}

std::uint32_t bounded_parts(std::size_t parts) noexcept {
    return static_cast<std::uint32_t>(std::min(parts, limits::kIoVectorParts));
}

}  // namespace

Operation Operation::read(int fd, std::span<std::byte> to, std::uint64_t offset) noexcept {
    return Operation({.kind = Kind::kRead,
                      .fd = fd,
                      .count = bounded(to.size()),
                      .address = to.data(),
                      .offset = offset});
}

Operation Operation::write(int fd, std::span<const std::byte> from, std::uint64_t offset) noexcept {
    return Operation({.kind = Kind::kWrite,
                      .fd = fd,
                      .count = bounded(from.size()),
                      .address = from.data(),
                      .offset = offset});
}

Operation Operation::readv(int fd, std::span<const iovec> to, std::uint64_t offset) noexcept {
    return Operation({.kind = Kind::kReadv,
                      .fd = fd,
                      .count = bounded_parts(to.size()),
                      .address = to.data(),
                      .offset = offset});
}

Operation Operation::writev(int fd, std::span<const iovec> from, std::uint64_t offset) noexcept {
    return Operation({.kind = Kind::kWritev,
                      .fd = fd,
                      .count = bounded_parts(from.size()),
                      .address = from.data(),
                      .offset = offset});
}

Operation Operation::fsync(int fd) noexcept {
    return Operation({.kind = Kind::kFsync, .fd = fd});
}

Operation Operation::fdatasync(int fd) noexcept {
    return Operation({.kind = Kind::kFdatasync, .fd = fd});
}

Operation Operation::fallocate(int fd, std::uint64_t offset, std::uint64_t bytes) noexcept {
    return Operation({.kind = Kind::kFallocate, .fd = fd, .offset = offset, .bytes = bytes});
}

Operation Operation::splice(int from, std::uint64_t from_offset, int to, std::uint64_t to_offset,
                            std::size_t bytes) noexcept {
    return Operation({.kind = Kind::kSplice,
                      .fd = to,
                      .from_fd = from,
                      .count = bounded(bytes),
                      .offset = to_offset,
                      .from_offset = from_offset});
}

std::int64_t Operation::run(const sync::Context& context) {
    if (context.ended()) return -ECANCELED;
    Poller* const poller = current_poller_or_null();
    if (poller != nullptr && poller->completes_operations()) return run_on(*poller, context);
    return run_blocking(context);
}

// The operation may be cancelled while its completion is on the way: cancel() only asks, and the
// context's callback is off before the record goes.
std::int64_t Operation::run_on(Poller& poller, const sync::Context& context) {
    SLUICE_ASSERT(waiter_ == nullptr);
    sync::Waiter waiter;
    waiter_ = &waiter;
    poller.submit(*this);
    if (context.never_ends()) {
        waiter.wait(context, rt::WaitReason::kIo, this);
        return result_;
    }
    const sync::OnEnd ask(context, [this, &poller]() noexcept { poller.cancel(*this); });
    waiter.wait(sync::Context::background(), rt::WaitReason::kIo, this);
    return result_;
}

void Operation::complete(std::int64_t result) noexcept {
    result_ = result;
    const bool first = waiter_->claim(kCompleted);
    SLUICE_CHECK(first);
    waiter_->notify();
}

// A job that still waits for its thread when the context ends makes no call any more.
std::int64_t Operation::run_blocking(const sync::Context& context) {
    std::atomic<bool> cancelled{false};
    const auto job = [&] {
        return cancelled.load(std::memory_order_relaxed) ? std::int64_t{-ECANCELED} : call();
    };
    if (context.never_ends()) return rt::blocking(job);
    const sync::OnEnd ask(context,
                          [&]() noexcept { cancelled.store(true, std::memory_order_relaxed); });
    return rt::blocking(job);
}

std::int64_t Operation::call() const noexcept {
    const Arguments& a = arguments_;
    void* const to = const_cast<void*>(a.address);
    const auto* const parts = static_cast<const iovec*>(a.address);
    const auto offset = static_cast<off_t>(a.offset);  // kNoOffset becomes -1
    const bool positioned = a.offset != kNoOffset;
    switch (a.kind) {
        case Kind::kRead:
            return positioned ? sys::pread(a.fd, to, a.count, offset)
                              : sys::read(a.fd, to, a.count);
        case Kind::kWrite:
            return positioned ? sys::pwrite(a.fd, a.address, a.count, offset)
                              : sys::write(a.fd, a.address, a.count);
        case Kind::kReadv:
            return sys::preadv2(a.fd, parts, static_cast<int>(a.count), offset, 0);
        case Kind::kWritev:
            return sys::pwritev2(a.fd, parts, static_cast<int>(a.count), offset, 0);
        case Kind::kFsync:
            return sys::fsync(a.fd);
        case Kind::kFdatasync:
            return sys::fdatasync(a.fd);
        case Kind::kFallocate:
            return sys::fallocate(a.fd, 0, offset, static_cast<off_t>(a.bytes));
        case Kind::kSplice: {
            off_t from = static_cast<off_t>(a.from_offset);
            off_t into = offset;
            return sys::splice(a.from_fd, a.from_offset != kNoOffset ? &from : nullptr, a.fd,
                               positioned ? &into : nullptr, a.count);
        }
    }
    SLUICE_CHECK(false);
    return -EINVAL;
}

}  // namespace sluice::io
