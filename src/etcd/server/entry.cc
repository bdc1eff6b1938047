#include "etcd/server/entry.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

namespace sluice::etcd {
EntryHead::EntryHead(EntryKind kind, std::size_t size) noexcept {
    using google::protobuf::internal::WireFormatLite;
    using google::protobuf::io::CodedOutputStream;
    auto* const begin = reinterpret_cast<std::uint8_t*>(bytes_.data());
    const std::uint32_t tag =
        WireFormatLite::MakeTag(static_cast<int>(kind), WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
    std::uint8_t* end = CodedOutputStream::WriteVarint32ToArray(tag, begin);
    end = CodedOutputStream::WriteVarint32ToArray(static_cast<std::uint32_t>(size), end);
    size_ = static_cast<std::uint8_t>(end - begin);
}

Result<EntryView> read_entry(std::string_view payload) {
    EntryView entry;
    if (decode(payload, entry)) return entry;
    return fail(Code::kDataLoss, "a log entry is not a request that this version knows");
}

}  // namespace sluice::etcd
