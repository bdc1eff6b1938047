// Bytes on their way to a socket: a list of owned chunks and of slices of SharedBytes.
//
// A session appends, its driver gathers into iovecs, writes, and says how much the socket took:
//
//   iovec parts[16];
//   unsigned count = out.gather(parts);
//   ssize_t written = writev(fd, parts, count);
//   if (written > 0) out.consume(written);
//
// Empty, it owns nothing (24 bytes); chunks come from the allocator as they are needed and go back
// when they are consumed. One thread at a time; nothing suspends or blocks. Bounds are kept by who
// appends (the session), by size().
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/shared_bytes.h"

namespace sluice::http2 {

class OutputBuffer {
  public:
    OutputBuffer() noexcept = default;
    OutputBuffer(OutputBuffer&& other) noexcept;
    OutputBuffer& operator=(OutputBuffer&& other) noexcept;
    OutputBuffer(const OutputBuffer&) = delete;
    OutputBuffer& operator=(const OutputBuffer&) = delete;
    ~OutputBuffer() { clear(); }

    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }

    // Copies bytes to the end.
    void append(std::string_view bytes);

    // Appends a slice of `owner`. Short slices are copied, long ones keep a reference.
    void append_shared(const SharedBytes& owner, std::string_view slice);

    // Room for `size` contiguous bytes at the end (size <= kOutputChunkBytes); commit() appends the
    // first `used` of them. For encoders that know only a bound.
    char* reserve(std::size_t size);
    void commit(std::size_t used) noexcept;

    // Moves the first `size` bytes of `from` to the end of this; references move, bytes are copied.
    void move_front(OutputBuffer& from, std::size_t size);

    // Fills `parts` with the first bytes in order; returns how many entries it used (0: empty).
    unsigned gather(std::span<iovec> parts) const noexcept;

    // Drops the first `size` bytes; size <= size().
    void consume(std::size_t size) noexcept;
    void clear() noexcept;

  private:
    struct Segment;
    Segment* add_segment(std::size_t capacity);
    void pop_segment() noexcept;

    Segment* head_ = nullptr;
    Segment* tail_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace sluice::http2
