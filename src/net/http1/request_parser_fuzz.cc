// Any bytes, split in two ways: the same requests, the same error, bounded memory.
//   http1_request_parser_fuzz test/corpus/http1_request_parser_fuzz
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "net/http1/request_parser.h"
#include "net/http1/response.h"

namespace {

using namespace sluice::http1;

constexpr RequestLimits kLimits{.head_bytes_max = 512, .body_bytes_max = 64};

// What a server would see of the input when it comes in pieces of `step` bytes.
std::string run(std::string_view input, std::size_t step) {
    std::string seen;
    RequestParser parser(kLimits);
    while (!input.empty()) {
        std::string_view piece = input.substr(0, step);
        input.remove_prefix(piece.size());
        while (!piece.empty()) {
            const Progress progress = parser.feed(piece);
            if (progress == Progress::kError) {
                seen += error_text(parser.error());
                return seen;
            }
            if (progress == Progress::kNeedsMore) {
                SLUICE_CHECK(piece.empty());
                continue;
            }
            const Request& request = parser.request();
            SLUICE_CHECK(request.body.size() <= kLimits.body_bytes_max);
            seen += request.target;
            for (const RequestHeader& header : request.headers) {
                SLUICE_CHECK(header.value.find_first_of("\r\n") == std::string_view::npos);
                seen.append(header.name).append(":").append(header.value).append("\n");
            }
            seen.append(request.body).append(request.keep_alive ? "+" : "-");
            parser.next();
        }
    }
    return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const std::string whole = run(input, input.size() + 1);
    SLUICE_CHECK(whole == run(input, 1));
    SLUICE_CHECK(whole == run(input, 7));
    return 0;
}
