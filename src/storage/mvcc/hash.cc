// MvccStore: the hashes by which members compare their data.
#include "base/byte_order.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "storage/mvcc/store.h"

namespace sluice::storage {
namespace {

class HashSink final : public KvSink {
  public:
    void on_kv(const KvView& kv) override {
        add_number(static_cast<std::int64_t>(kv.key.size()));
        crc = crc32c::extend(crc, kv.key);
        add_number(kv.create_revision);
        add_number(kv.mod_revision);
        add_number(kv.version);
        add_number(kv.lease);
        add_number(static_cast<std::int64_t>(kv.value.size()));
        crc = crc32c::extend(crc, kv.value);
    }
    std::uint32_t crc = 0;

  private:
    void add_number(std::int64_t number) {
        char bytes[8];
        store_le64(bytes, static_cast<std::uint64_t>(number));
        crc = crc32c::extend(crc, std::string_view(bytes, sizeof bytes));
    }
};

}  // namespace

Result<MvccStore::HashResult> MvccStore::hash_kv(Revision revision) const {
    const std::string_view everything("\0", 1);
    RangeCursor cursor(*this, {.key = everything, .range_end = everything, .revision = revision});
    HashSink sink;
    for (;;) {
        SLUICE_TRY_ASSIGN(const ReadStep step, cursor.next(ReadTier::kAny, {}, sink));
        SLUICE_CHECK(step != ReadStep::kWouldBlock);
        if (step == ReadStep::kDone) break;
    }
    return HashResult{sink.crc, compacted_revision(), cursor.read_revision(),
                      cursor.store_revision()};
}

Result<std::uint32_t> MvccStore::hash() const {
    SLUICE_TRY_ASSIGN(const HashResult pairs, hash_kv(0));
    std::uint32_t crc = pairs.hash;
    SLUICE_TRY(scan_meta("", [&](std::string_view key, std::string_view value) {
        crc = crc32c::extend(crc32c::extend(crc, key), value);
    }));
    return crc;
}

}  // namespace sluice::storage
