#include <type_traits>

#include "etcd/protobuf_wire.h"
#include "etcd/wire_codec.h"

namespace sluice::etcd {
namespace {

using wire::Reader;

// A field of a message and where its value goes; the target's type says how it is encoded.
template <std::uint32_t Number, class Target>
struct Field {
    static constexpr bool kIsBytes = std::is_same_v<Target, std::string_view>;
    static constexpr std::uint32_t kTag =
        wire::tag(Number, kIsBytes ? wire::Type::kBytes : wire::Type::kVarint);

    bool take(Reader& reader) const {
        if (reader.raw_tag() != kTag) return false;
        if constexpr (kIsBytes) {
            target = reader.bytes();
        } else if constexpr (std::is_same_v<Target, bool>) {
            target = reader.varint() != 0;
        } else {
            target = static_cast<Target>(reader.varint());  // enums keep the low 32 bits
        }
        return true;
    }

    Target& target;
};

template <std::uint32_t Number, class Target>
Field<Number, Target> field(Target& target) {
    return {target};
}

// Reads a message: the fields named here, the last value of each; others are skipped.
template <class... Fields>
bool read_fields(std::string_view bytes, const Fields&... fields) {
    Reader reader(bytes);
    while (reader.next()) {
        if (!(fields.take(reader) || ...)) reader.skip();
    }
    return reader.finished();
}

}  // namespace

bool decode(std::string_view bytes, PutView& out) {
    return read_fields(bytes, field<1>(out.key), field<2>(out.value), field<3>(out.lease),
                       field<4>(out.prev_kv), field<5>(out.ignore_value),
                       field<6>(out.ignore_lease));
}

bool decode(std::string_view bytes, RangeView& out) {
    return read_fields(bytes, field<1>(out.key), field<2>(out.range_end), field<3>(out.limit),
                       field<4>(out.revision), field<5>(out.sort_order), field<6>(out.sort_target),
                       field<7>(out.serializable), field<8>(out.keys_only),
                       field<9>(out.count_only), field<10>(out.min_mod_revision),
                       field<11>(out.max_mod_revision), field<12>(out.min_create_revision),
                       field<13>(out.max_create_revision));
}

bool decode(std::string_view bytes, DeleteRangeView& out) {
    return read_fields(bytes, field<1>(out.key), field<2>(out.range_end), field<3>(out.prev_kv));
}

}  // namespace sluice::etcd
