// HPACK against nghttp2's inflater: for a sequence of header blocks both give the same headers, or
// both refuse. Then the headers go through our encoder and back.
//   http2_hpack_fuzz test/corpus/http2_hpack_fuzz
//
// Input: blocks, each behind a length of two bytes. What nghttp2's inflater does not limit, and
// ours does (the size of a list), is only compared as far as ours goes.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/byte_order.h"
#include "base/check.h"
#include "net/http2/hpack_decoder.h"
#include "net/http2/hpack_encoder.h"
#include "net/http2/hpack_oracle_testing.h"

namespace {

using namespace sluice;
using namespace sluice::http2;
using Pairs = HpackOracle::Pairs;

Pairs headers_of(const Scratch& scratch) {
    Pairs pairs;
    for (const Header& header : HpackDecoder::headers(scratch)) {
        SLUICE_CHECK(header.id == find_header_id(header.name));
        pairs.emplace_back(header.name, header.value);
    }
    return pairs;
}

void check_round_trip(const Pairs& pairs) {
    static const SharedFields shared = [] {
        SharedFields fields;
        fields.add(":status", "200");
        fields.add("content-type", "application/grpc");
        fields.add("grpc-status", "0");
        return fields;
    }();
    HpackEncoder encoder(&shared);
    HpackDecoder decoder;
    HpackOracle oracle;
    Scratch scratch;
    std::vector<HeaderField> fields = {HeaderField::shared(SharedFieldId{0}),
                                       HeaderField::shared(SharedFieldId{1})};
    Pairs expected = {{":status", "200"}, {"content-type", "application/grpc"}};
    std::size_t bytes = 0;
    for (const auto& [name, value] : pairs) {
        bytes += name.size() + value.size() + 32;
        if (bytes > limits::kHttp2HeaderListBytesMax / 2) break;
        fields.push_back(value.size() % 2 == 0 ? HeaderField::text(name, value)
                                               : HeaderField::sensitive(name, value));
        expected.emplace_back(name, value);
    }
    for (int round = 0; round < 3; ++round) {
        if (round == 2) encoder.set_peer_table_bytes(static_cast<std::uint32_t>(bytes % 300));
        std::string block(encoder.encoded_bound(fields), '\0');
        const char* end = encoder.encode(fields, block.data());
        block.resize(static_cast<std::size_t>(end - block.data()));
        const auto status = decoder.decode(block, limits::kHttp2HeaderListBytesMax, scratch);
        SLUICE_CHECK(status == HpackDecoder::Status::kOk);
        SLUICE_CHECK(headers_of(scratch) == expected);
        SLUICE_CHECK(oracle.decode(block) == expected);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view input(reinterpret_cast<const char*>(data), size);
    HpackDecoder decoder;
    HpackOracle oracle;
    Scratch scratch;
    Pairs last;
    while (input.size() >= 2) {
        const std::size_t length = std::min<std::size_t>(
            load_be16(input.data()) % (limits::kHttp2HeaderBlockBytesMax + 1), input.size() - 2);
        const std::string block(input.substr(2, length));
        input.remove_prefix(2 + length);
        if (length % 2 == 1) decoder.trim();  // as between two turns of its connection
        const auto status = decoder.decode(block, limits::kHttp2HeaderListBytesMax, scratch);
        const std::optional<Pairs> theirs = oracle.decode(block);
        SLUICE_CHECK((status == HpackDecoder::Status::kError) == !theirs.has_value());
        if (!theirs) break;
        last = headers_of(scratch);
        if (status == HpackDecoder::Status::kOk) {
            SLUICE_CHECK(last == *theirs);
        } else {
            SLUICE_CHECK(last.size() <= theirs->size());
            SLUICE_CHECK(std::equal(last.begin(), last.end(), theirs->begin()));
        }
        SLUICE_CHECK(decoder.table().size() == oracle.table_size());
    }
    check_round_trip(last);
    return 0;
}
