// Bytes written as hexadecimal text, for tests that quote RFCs.
#pragma once

#include <string>
#include <string_view>

namespace sluice::http2 {

// "8286 84" -> three bytes; blanks are skipped.
std::string from_hex(std::string_view hex);
std::string to_hex(std::string_view bytes);

}  // namespace sluice::http2
