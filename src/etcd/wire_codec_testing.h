// Holds the hand-written decoders against protobuf: shared by the unit test and the fuzzer.
//
//   EXPECT_EQ(disagreement_with_protobuf(bytes), "");
#pragma once

#include <string>
#include <string_view>

namespace sluice::etcd {

// Decodes `bytes` as every message that has a hand-written decoder, by hand and with protobuf, and
// runs both kinds of checks. Returns what differs, or "". How often the hand decoded is added to
// *decoded (may be null).
std::string disagreement_with_protobuf(std::string_view bytes, int* decoded = nullptr);

}  // namespace sluice::etcd
