#include "etcd/server/entry.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

namespace sluice::etcd {
namespace {

using google::protobuf::internal::WireFormatLite;

bool is_known(int field) {
    return field >= static_cast<int>(EntryKind::kPut) &&
           field <= static_cast<int>(EntryKind::kAlarm);
}

}  // namespace

EntryHead::EntryHead(EntryKind kind, std::size_t size) noexcept {
    using google::protobuf::io::CodedOutputStream;
    auto* const begin = reinterpret_cast<std::uint8_t*>(bytes_.data());
    const std::uint32_t tag =
        WireFormatLite::MakeTag(static_cast<int>(kind), WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
    std::uint8_t* end = CodedOutputStream::WriteVarint32ToArray(tag, begin);
    end = CodedOutputStream::WriteVarint32ToArray(static_cast<std::uint32_t>(size), end);
    size_ = static_cast<std::uint8_t>(end - begin);
}

Result<EntryView> read_entry(std::string_view payload) {
    const auto damaged = [] {
        return fail(Code::kDataLoss, "a log entry is not a request that this version knows");
    };
    google::protobuf::io::CodedInputStream in(reinterpret_cast<const std::uint8_t*>(payload.data()),
                                              static_cast<int>(payload.size()));
    while (const std::uint32_t tag = in.ReadTag()) {
        const int field = WireFormatLite::GetTagFieldNumber(tag);
        if (WireFormatLite::GetTagWireType(tag) != WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
            return damaged();
        }
        std::uint32_t size = 0;
        if (!in.ReadVarint32(&size)) return damaged();
        const auto at = static_cast<std::size_t>(in.CurrentPosition());
        if (size > payload.size() - at) return damaged();
        if (is_known(field)) {
            return EntryView{static_cast<EntryKind>(field), payload.substr(at, size)};
        }
        constexpr int kHeaderField = 1;
        if (field != kHeaderField || !in.Skip(static_cast<int>(size))) return damaged();
    }
    return damaged();
}

}  // namespace sluice::etcd
