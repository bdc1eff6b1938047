// Writes a RangeResponse while the store hands out its pairs: each key and value is copied once,
// from the store's memory into the message.
//
// The message is its header, which is known only when the read has begun, and behind it the bytes
// gathered here: the pairs, `more` and `count`, in the order in which protobuf writes them. Long
// ones leave for the socket without another copy.
//
//   RangeEncoder encoder(budget);
//   ... cursor.next(tier, {}, encoder) ...; if (!encoder.charge()) return fail(...);
//   SharedBytes rest = encoder.finish(cursor.more(), cursor.count());
//
// One user at a time; neither suspends nor blocks. Cost: 15-20 ns a pair and its copy
// (wire_codec_bench.cc).
#pragma once

#include "base/shared_bytes.h"
#include "etcd/key_value_wire.h"
#include "storage/mvcc/range.h"

namespace sluice::etcd {

class RangeEncoder final : public storage::KvSink {
  public:
    // What it holds is counted in `budget`, which outlives the message.
    explicit RangeEncoder(MemoryBudget& budget) : bytes_(&budget) {}

    void on_kv(const storage::KvView& kv) override {
        const std::size_t size = wire::key_value_size(kv);
        char* const at = bytes_.extend(wire::nested_size(wire::kRangeKvs, size));
        wire::write_key_value(wire::write_nested_head(at, wire::kRangeKvs, size), kv);
    }

    // Counts what it holds by now; false: the budget is used up.
    bool charge() noexcept { return bytes_.charge(); }

    // Everything behind the header. The end: no pair may follow.
    SharedBytes finish(bool more, std::int64_t count) {
        const std::size_t size = wire::int_size(wire::kRangeMore, more) +
                                 wire::int_size(wire::kRangeCount, wire::bits(count));
        char* const at = bytes_.extend(size);
        wire::write_int(wire::write_int(at, wire::kRangeMore, more), wire::kRangeCount,
                        wire::bits(count));
        return bytes_.finish();
    }

  private:
    SharedBytesBuilder bytes_;
};

}  // namespace sluice::etcd
