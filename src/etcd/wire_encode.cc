#include "base/check.h"
#include "etcd/wire_codec.h"

namespace sluice::etcd {
namespace {

using storage::KeyValue;
using storage::KvView;
using wire::bits;

// Grows the string by `size` bytes that write(char*) fills to the last one.
template <class Write>
void append(std::string& out, std::size_t size, Write&& write) {
    const std::size_t total = out.size() + size;
    // The size that libstdc++ 12 passes may be the capacity, so the string's own is used.
    out.resize_and_overwrite(total, [&, old = out.size()](char* begin, std::size_t) {
        [[maybe_unused]] const char* end = write(begin + old);
        SLUICE_ASSERT(end == begin + total);
        return total;
    });
}

// Field numbers of proto/etcdserverpb/kv.proto.
constexpr std::uint32_t kPutPrevKv = 2;
constexpr std::uint32_t kDeleted = 2;
constexpr std::uint32_t kDeletePrevKvs = 3;

}  // namespace

void append_response_head(const ResponseHead& head, std::string& out) {
    append(out, wire::header_size(head), [&](char* at) { return wire::write_header(at, head); });
}

void append_put_response(const ResponseHead& head, const KeyValue* prev_kv, std::string& out) {
    const std::size_t size =
        wire::header_size(head) + (prev_kv ? wire::pair_size(kPutPrevKv, *prev_kv) : 0);
    append(out, size, [&](char* at) {
        at = wire::write_header(at, head);
        return prev_kv ? wire::write_pair(at, kPutPrevKv, *prev_kv) : at;
    });
}

void append_range_response(const ResponseHead& head, const KvView* kv, std::int64_t count,
                           std::string& out) {
    const std::size_t size = wire::header_size(head) +
                             (kv ? wire::pair_size(wire::kRangeKvs, *kv) : 0) +
                             wire::int_size(wire::kRangeCount, bits(count));
    append(out, size, [&](char* at) {
        at = wire::write_header(at, head);
        if (kv) at = wire::write_pair(at, wire::kRangeKvs, *kv);
        return wire::write_int(at, wire::kRangeCount, bits(count));
    });
}

void append_delete_response(const ResponseHead& head, std::int64_t deleted,
                            std::span<const KeyValue> prev_kvs, std::string& out) {
    std::size_t size = wire::header_size(head) + wire::int_size(kDeleted, bits(deleted));
    for (const KeyValue& kv : prev_kvs) size += wire::pair_size(kDeletePrevKvs, kv);
    append(out, size, [&](char* at) {
        at = wire::write_int(wire::write_header(at, head), kDeleted, bits(deleted));
        for (const KeyValue& kv : prev_kvs) at = wire::write_pair(at, kDeletePrevKvs, kv);
        return at;
    });
}

}  // namespace sluice::etcd
