// nghttp2's HPACK decoder behind a small interface: what another implementation makes of a block.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"

namespace sluice::http2 {

class HpackOracle {
  public:
    using Pairs = std::vector<std::pair<std::string, std::string>>;

    HpackOracle() { SLUICE_CHECK(nghttp2_hd_inflate_new(&inflater_) == 0); }
    ~HpackOracle() { nghttp2_hd_inflate_del(inflater_); }
    HpackOracle(const HpackOracle&) = delete;
    HpackOracle& operator=(const HpackOracle&) = delete;

    // The first kPairsMax headers of the block; none if it cannot be decoded.
    std::optional<Pairs> decode(std::string_view block) {
        Pairs pairs;
        const auto* from = reinterpret_cast<const std::uint8_t*>(block.data());
        std::size_t left = block.size();
        for (;;) {
            nghttp2_nv nv{};
            int flags = 0;
            const auto taken = nghttp2_hd_inflate_hd2(inflater_, &nv, &flags, from, left, 1);
            if (taken < 0) return std::nullopt;
            from += taken;
            left -= static_cast<std::size_t>(taken);
            if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0 && pairs.size() < kPairsMax)
                pairs.emplace_back(std::string(reinterpret_cast<char*>(nv.name), nv.namelen),
                                   std::string(reinterpret_cast<char*>(nv.value), nv.valuelen));
            if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
        }
        nghttp2_hd_inflate_end_headers(inflater_);
        return pairs;
    }
    std::size_t table_size() { return nghttp2_hd_inflate_get_dynamic_table_size(inflater_); }

  private:
    static constexpr std::size_t kPairsMax = 600;  // more than our list limit lets through

    nghttp2_hd_inflater* inflater_ = nullptr;
};

}  // namespace sluice::http2
