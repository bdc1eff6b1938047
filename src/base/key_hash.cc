#include "base/key_hash.h"

#include <sys/random.h>

#include <array>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"

namespace sluice {
namespace {

struct Secret {
    std::array<unsigned char, XXH3_SECRET_DEFAULT_SIZE> bytes;
    Secret() noexcept {
        // Whole and without an interruption up to 256 bytes: getrandom(2).
        SLUICE_CHECK(::getrandom(bytes.data(), bytes.size(), 0) ==
                     static_cast<ssize_t>(bytes.size()));
    }
};

}  // namespace

std::size_t hash_key(std::string_view key) noexcept {
    static const Secret secret;
    return XXH3_64bits_withSecret(key.data(), key.size(), secret.bytes.data(), secret.bytes.size());
}

}  // namespace sluice
