// A fuzzer's input read as a program: bytes from the front, 0 behind the end, so that every input
// is a valid one.
//
//   FuzzInput input(bytes);
//   while (!input.empty()) operation(input.byte());
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice {

class FuzzInput {
  public:
    explicit FuzzInput(std::string_view bytes) : rest_(bytes) {}

    bool empty() const { return rest_.empty(); }
    std::uint8_t byte() {
        if (rest_.empty()) return 0;
        const auto value = static_cast<std::uint8_t>(rest_.front());
        rest_.remove_prefix(1);
        return value;
    }
    // As many bytes as there are, up to `size`; views of the input.
    std::string_view take(std::size_t size) {
        const std::string_view part = rest_.substr(0, size);
        rest_.remove_prefix(part.size());
        return part;
    }

  private:
    std::string_view rest_;
};

}  // namespace sluice
