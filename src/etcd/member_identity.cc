#include "etcd/member_identity.h"

#include <openssl/sha.h>

#include <algorithm>
#include <array>

namespace sluice::etcd {
namespace {

std::uint64_t sha1_head(std::string_view bytes) {
    std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
    SHA1(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
    std::uint64_t head = 0;
    for (std::size_t i = 0; i < sizeof head; ++i) head = head << 8 | digest.at(i);
    return head;
}

std::string big_endian(std::uint64_t id) {
    std::string bytes;
    for (int shift = 56; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(id >> shift));
    return bytes;
}

}  // namespace

MemberIdentity derive_identity(std::vector<std::string> peer_urls, std::string_view token) {
    std::ranges::sort(peer_urls);
    std::string named;
    for (const std::string& url : peer_urls) named += url;
    const std::uint64_t member_id = sha1_head(named.append(token));
    return {.member_id = member_id, .cluster_id = sha1_head(big_endian(member_id))};
}

}  // namespace sluice::etcd
