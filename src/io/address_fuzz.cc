// Any text as an address of a flag: refused with a message, or printed as what parses to the same.
//   io_address_fuzz test/corpus/io_address_fuzz
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "io/address.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sluice;
    const auto address = io::Address::parse({reinterpret_cast<const char*>(data), size});
    if (!address) {
        SLUICE_CHECK(address.error().code() == Code::kInvalidArgument);
        SLUICE_CHECK(!address.error().message().empty());
        return 0;
    }
    SLUICE_CHECK(address->size() == sizeof(sockaddr_in) || address->size() == sizeof(sockaddr_in6));
    const auto again = io::Address::parse(address->to_string());
    SLUICE_CHECK(again.has_value() && *again == *address);
    return 0;
}
