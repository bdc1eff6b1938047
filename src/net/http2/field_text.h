// Which characters header names and values may have (RFC 9113 section 8.2.1, RFC 9110 section 5).
// Cost: one table load a byte for names, eight bytes a step for values.
#pragma once

#include <string_view>

namespace sluice::http2 {

// Lower-case token characters, at least one; one leading ':' is allowed.
bool is_valid_name(std::string_view name) noexcept;

// No NUL, CR, LF or other control character but a tab; no space or tab at either end.
bool is_valid_value(std::string_view value) noexcept;

}  // namespace sluice::http2
