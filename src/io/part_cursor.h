// PartCursor: what is left of a list of parts while calls that may move less than asked for take it
// from the front. For writev() and its kin; the list itself stays as it is.
//
//   for (PartCursor rest(parts); !rest.done();) {
//       const ssize_t n = io::transmit(fd, rest.window());
//       if (n > 0) rest.advance(static_cast<std::size_t>(n));
//   }
//
// It is 4 KiB, for a stack; the list must outlive it. Empty parts are passed over.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <span>

#include "base/limits.h"

namespace sluice::io {

class PartCursor {
  public:
    explicit PartCursor(std::span<const iovec> parts) noexcept : parts_(parts) { skip(0); }

    bool done() const noexcept { return parts_.empty(); }
    // The next limits::kIoVectorParts parts, the first without what is done. Until advance().
    std::span<const iovec> window() noexcept;
    // At most the bytes of the window.
    void advance(std::size_t bytes) noexcept { skip(bytes); }

  private:
    void skip(std::size_t bytes) noexcept;

    std::span<const iovec> parts_;
    std::size_t done_bytes_ = 0;  // of the first part
    std::array<iovec, limits::kIoVectorParts> window_;
};

}  // namespace sluice::io
