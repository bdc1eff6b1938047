// The messages of the hot paths without protobuf: requests decoded to views into the receive
// buffer, responses written straight into the send buffer. (Log entries: entry.h; ranges:
// range_encoder.h; events: event_encoding.h.)
//
// Each decode function returns true if it has read the message, with exactly the fields that
// protobuf would give; false means only: not here. The caller then parses with protobuf, which also
// says whether the bytes are malformed. (False comes for malformed bytes and for groups; never for
// what the usual clients send.)
//
//   PutView put;
//   if (decode(bytes, put)) { SLUICE_TRY(check(put)); propose(...); }
//   else { etcdserverpb::PutRequest request; if (!request.ParseFromArray(...)) ...
//
// Any thread; no allocation but the output's, no suspension. Cost: wire_codec_bench.cc.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "etcd/key_value_wire.h"
#include "etcd/request_views.h"
#include "storage/mvcc/range.h"

namespace sluice::etcd {

bool decode(std::string_view bytes, PutView& out);
bool decode(std::string_view bytes, RangeView& out);
bool decode(std::string_view bytes, DeleteRangeView& out);

// ---- responses; each appends the serialised message to *out, byte for byte as protobuf writes it

// prev_kv: null for none.
void append_put_response(const ResponseHead& head, const storage::KeyValue* prev_kv,
                         std::string& out);
// A range of at most one key; kv null: none found (or count_only). `more` is never set here.
void append_range_response(const ResponseHead& head, const storage::KvView* kv, std::int64_t count,
                           std::string& out);
void append_delete_response(const ResponseHead& head, std::int64_t deleted,
                            std::span<const storage::KeyValue> prev_kvs, std::string& out);
// Only field 1 of any response, its header: the rest of the message follows.
void append_response_head(const ResponseHead& head, std::string& out);

}  // namespace sluice::etcd
