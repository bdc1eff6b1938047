#include "net/http2/header_block.h"

#include <algorithm>

#include "base/check.h"
#include "base/limits.h"
#include "net/http2/hpack_decoder.h"

namespace sluice::http2 {

std::span<const Header> HeaderBlock::headers() {
    if (!decoded_) {
        // The block was accepted before and has indexed fields only: nothing can go wrong.
        const auto status = decoder_.decode(bytes_, limits::kHttp2HeaderListBytesMax, scratch_);
        SLUICE_ASSERT(status == HpackDecoder::Status::kOk);
        decoded_ = true;
    }
    return HpackDecoder::headers(scratch_);
}

const Header* HeaderBlock::find(HeaderId id) {
    const auto all = headers();
    const auto found = std::ranges::find(all, id, &Header::id);
    return found == all.end() ? nullptr : &*found;
}

void HeaderBlock::set_tag(std::uint64_t tag) noexcept {
    SLUICE_ASSERT(tag != 0);
    if (may_cache_) decoder_.set_cached_tag(bytes_, tag);
}

}  // namespace sluice::http2
