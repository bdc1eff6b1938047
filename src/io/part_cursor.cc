#include "io/part_cursor.h"

#include <algorithm>

#include "base/check.h"

namespace sluice::io {

std::span<const iovec> PartCursor::window() noexcept {
    SLUICE_ASSERT(!done());
    const std::size_t count = std::min(parts_.size(), window_.size());
    std::copy_n(parts_.begin(), count, window_.begin());
    window_[0].iov_base = static_cast<std::byte*>(window_[0].iov_base) + done_bytes_;
    window_[0].iov_len -= done_bytes_;
    return std::span<const iovec>(window_).first(count);
}

void PartCursor::skip(std::size_t bytes) noexcept {
    done_bytes_ += bytes;
    while (!parts_.empty() && done_bytes_ >= parts_.front().iov_len) {
        done_bytes_ -= parts_.front().iov_len;
        parts_ = parts_.subspan(1);
    }
    SLUICE_CHECK(done_bytes_ == 0 || !parts_.empty());
}

}  // namespace sluice::io
