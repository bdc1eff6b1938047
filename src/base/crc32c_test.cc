#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace sluice {
namespace {

// RFC 3720, appendix B.4.
TEST(Crc32c, MatchesThePublishedVectors) {
    EXPECT_EQ(crc32c::extend(0, std::string(32, '\0')), 0x8A9136AAu);
    EXPECT_EQ(crc32c::extend(0, std::string(32, '\xFF')), 0x62A8AB43u);
    std::string up;
    for (int i = 0; i < 32; ++i) up.push_back(static_cast<char>(i));
    EXPECT_EQ(crc32c::extend(0, up), 0x46DD794Eu);
    EXPECT_EQ(crc32c::extend(0, std::string_view("123456789")), 0xE3069283u);
    EXPECT_EQ(crc32c::extend(0, std::string_view("")), 0u);
}

TEST(Crc32c, HardwareAndTableAgreeAtEveryLengthAndAlignment) {
    std::mt19937_64 random(7);
    std::vector<std::byte> data(300);
    for (auto& b : data) b = static_cast<std::byte>(random());
    for (std::size_t from = 0; from < 9; ++from) {
        for (std::size_t n = 0; from + n <= data.size(); ++n) {
            const auto part = std::span(data).subspan(from, n);
            const auto seed = static_cast<std::uint32_t>(random());
            ASSERT_EQ(crc32c::extend(seed, part), crc32c::extend_portable(seed, part));
        }
    }
}

TEST(Crc32c, ExtendsOverAnySplit) {
    const std::string text = "a checksum may be taken in two steps";
    const std::uint32_t whole = crc32c::extend(0, text);
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        const std::string_view view = text;
        EXPECT_EQ(crc32c::extend(crc32c::extend(0, view.substr(0, cut)), view.substr(cut)), whole);
    }
}

}  // namespace
}  // namespace sluice
