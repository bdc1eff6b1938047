#include "net/http2/header_id.h"

#include <array>

#include "base/check.h"

namespace sluice::http2 {
namespace {

struct Pair {
    std::string_view name;
    std::string_view value;
};

// RFC 7541 appendix A; index 0 is not an entry.
constexpr std::array<Pair, kStaticTableEntries + 1> kStatic = {{
    {"", ""},
    {":authority", ""},
    {":method", "GET"},
    {":method", "POST"},
    {":path", "/"},
    {":path", "/index.html"},
    {":scheme", "http"},
    {":scheme", "https"},
    {":status", "200"},
    {":status", "204"},
    {":status", "206"},
    {":status", "304"},
    {":status", "400"},
    {":status", "404"},
    {":status", "500"},
    {"accept-charset", ""},
    {"accept-encoding", "gzip, deflate"},
    {"accept-language", ""},
    {"accept-ranges", ""},
    {"accept", ""},
    {"access-control-allow-origin", ""},
    {"age", ""},
    {"allow", ""},
    {"authorization", ""},
    {"cache-control", ""},
    {"content-disposition", ""},
    {"content-encoding", ""},
    {"content-language", ""},
    {"content-length", ""},
    {"content-location", ""},
    {"content-range", ""},
    {"content-type", ""},
    {"cookie", ""},
    {"date", ""},
    {"etag", ""},
    {"expect", ""},
    {"expires", ""},
    {"from", ""},
    {"host", ""},
    {"if-match", ""},
    {"if-modified-since", ""},
    {"if-none-match", ""},
    {"if-range", ""},
    {"if-unmodified-since", ""},
    {"last-modified", ""},
    {"link", ""},
    {"location", ""},
    {"max-forwards", ""},
    {"proxy-authenticate", ""},
    {"proxy-authorization", ""},
    {"range", ""},
    {"referer", ""},
    {"refresh", ""},
    {"retry-after", ""},
    {"server", ""},
    {"set-cookie", ""},
    {"strict-transport-security", ""},
    {"transfer-encoding", ""},
    {"user-agent", ""},
    {"vary", ""},
    {"via", ""},
    {"www-authenticate", ""},
}};

constexpr unsigned kIds = static_cast<unsigned>(HeaderId::kLast) + 1;
constexpr std::string_view kOthers[] = {"te",
                                        "connection",
                                        "keep-alive",
                                        "proxy-connection",
                                        "upgrade",
                                        ":protocol",
                                        "grpc-timeout",
                                        "grpc-encoding",
                                        "grpc-accept-encoding",
                                        "grpc-status",
                                        "grpc-message",
                                        "grpc-status-details-bin",
                                        "token"};
static_assert(std::size(kOthers) == kIds - kStaticTableEntries - 1);

constexpr std::string_view name_of(unsigned id) {
    return id <= kStaticTableEntries ? kStatic[id].name : kOthers[id - kStaticTableEntries - 1];
}

constexpr unsigned kSlots = 256;

constexpr unsigned hash(std::string_view name) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(name[i]); };
    const std::size_t n = name.size();
    return static_cast<unsigned>(n * 5 + byte(0) * 7 + byte(n - 1) * 31 + byte(n / 2) * 3) % kSlots;
}

constexpr std::array<std::uint8_t, kSlots> make_slots() {
    std::array<std::uint8_t, kSlots> slots{};
    for (unsigned id = 1; id < kIds; ++id) {
        if (id > 1 && id <= kStaticTableEntries && name_of(id) == name_of(id - 1)) continue;
        unsigned slot = hash(name_of(id));
        while (slots[slot] != 0) slot = (slot + 1) % kSlots;
        slots[slot] = static_cast<std::uint8_t>(id);
    }
    return slots;
}
constexpr std::array<std::uint8_t, kSlots> kSlotTable = make_slots();

constexpr std::array<std::uint8_t, kStaticTableEntries + 1> make_static_ids() {
    std::array<std::uint8_t, kStaticTableEntries + 1> ids{};
    for (unsigned i = 1; i <= kStaticTableEntries; ++i)
        ids[i] = i > 1 && kStatic[i].name == kStatic[i - 1].name ? ids[i - 1]
                                                                 : static_cast<std::uint8_t>(i);
    return ids;
}
constexpr std::array<std::uint8_t, kStaticTableEntries + 1> kStaticIds = make_static_ids();

static_assert(name_of(static_cast<unsigned>(HeaderId::kStatus)) == ":status");
static_assert(name_of(static_cast<unsigned>(HeaderId::kContentLength)) == "content-length");
static_assert(name_of(static_cast<unsigned>(HeaderId::kHost)) == "host");
static_assert(name_of(static_cast<unsigned>(HeaderId::kTransferEncoding)) == "transfer-encoding");
static_assert(name_of(static_cast<unsigned>(HeaderId::kUserAgent)) == "user-agent");
static_assert(name_of(static_cast<unsigned>(HeaderId::kToken)) == "token");

}  // namespace

HeaderId find_header_id(std::string_view name) noexcept {
    if (name.empty()) return HeaderId::kNone;
    for (unsigned slot = hash(name); kSlotTable[slot] != 0; slot = (slot + 1) % kSlots)
        if (name_of(kSlotTable[slot]) == name) return HeaderId{kSlotTable[slot]};
    return HeaderId::kNone;
}

std::string_view header_name(HeaderId id) noexcept {
    const auto number = static_cast<unsigned>(id);
    return number < kIds ? name_of(number) : std::string_view{};
}

std::string_view static_name(std::uint32_t index) noexcept {
    SLUICE_ASSERT(index >= 1 && index <= kStaticTableEntries);
    return kStatic[index].name;
}

std::string_view static_value(std::uint32_t index) noexcept {
    SLUICE_ASSERT(index >= 1 && index <= kStaticTableEntries);
    return kStatic[index].value;
}

HeaderId static_id(std::uint32_t index) noexcept {
    SLUICE_ASSERT(index >= 1 && index <= kStaticTableEntries);
    return HeaderId{kStaticIds[index]};
}

std::uint32_t find_static(std::string_view name, std::string_view value) noexcept {
    for (std::uint32_t index = 1; index <= kStaticTableEntries; ++index)
        if (kStatic[index].name == name && kStatic[index].value == value) return index;
    return 0;
}

}  // namespace sluice::http2
