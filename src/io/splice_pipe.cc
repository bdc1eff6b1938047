#include "io/splice_pipe.h"

#include <algorithm>

#include "base/check.h"
#include "base/limits.h"
#include "base/syscall.h"

namespace sluice::io {

// A smaller pipe than wished for only takes more calls.
Result<std::unique_ptr<SplicePipe>> SplicePipe::create() {
    int reader = -1;
    int writer = -1;
    const int result = sys::pipe(reader, writer);
    if (result < 0) return fail(Error::from_errno(result, "make a pipe"));
    (void)sys::set_pipe_bytes(writer, limits::kSplicePipeBytes);
    return std::unique_ptr<SplicePipe>(new SplicePipe(reader, writer));
}

ssize_t SplicePipe::fill(int socket, std::size_t bytes_max) noexcept {
    SLUICE_ASSERT(bytes_ == 0);
    const std::size_t wanted = std::min(bytes_max, limits::kSplicePipeBytes);
    const ssize_t n = sys::receive_into_pipe(socket, writer_.get(), wanted);
    if (n > 0) bytes_ = static_cast<std::size_t>(n);
    SLUICE_ASSERT(bytes_ <= wanted);
    return n;
}

// Not more than it holds: the kernel would announce more to come to the socket and wait for it.
ssize_t SplicePipe::drain(int socket, std::size_t bytes_max) noexcept {
    SLUICE_ASSERT(bytes_max > 0 && bytes_max <= bytes_);
    const ssize_t n = sys::splice(reader_.get(), nullptr, socket, nullptr, bytes_max);
    SLUICE_CHECK(n != 0);
    take(n);
    return n;
}

ssize_t SplicePipe::read(std::span<const iovec> to) noexcept {
    SLUICE_ASSERT(bytes_ > 0 && to.size() <= limits::kIoVectorParts);
    const ssize_t n =
        sys::preadv2(reader_.get(), to.data(), static_cast<int>(to.size()), /*offset=*/-1, 0);
    take(n);
    return n;
}

void SplicePipe::take(ssize_t moved) noexcept {
    if (moved <= 0) return;
    SLUICE_CHECK(static_cast<std::size_t>(moved) <= bytes_);
    bytes_ -= static_cast<std::size_t>(moved);
}

}  // namespace sluice::io
