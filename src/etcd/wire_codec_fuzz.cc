// Any bytes: what the hand-written decoders accept, protobuf must accept with the same fields and
// the same verdict of the checks.
#include <cstdio>
#include <cstdlib>

#include "etcd/wire_codec_testing.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, unsigned long size) {
    const std::string difference = sluice::etcd::disagreement_with_protobuf(
        std::string_view(reinterpret_cast<const char*>(data), size));
    if (!difference.empty()) {
        std::fprintf(stderr, "%s\n", difference.c_str());
        std::abort();
    }
    return 0;
}
