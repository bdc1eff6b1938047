// Headers to send: as text, or as the number of a field that all connections share.
//
// A server sends the same few fields again and again (":status: 200", "content-type:
// application/grpc", "grpc-status: 0"); a load generator does so with its requests. Such fields are
// registered once in a SharedFields. Each connection's encoder puts them into the peer's dynamic
// table the first time and sends one byte from then on; all other fields go as literals without
// indexing, so the table never evicts.
//
//   SharedFields fields;                                     // at start-up, then constant
//   const auto status_200 = fields.add(":status", "200");
//   session.send_headers(stream, {{HeaderField::shared(status_200),
//                                  HeaderField::text("x-id", id)}}, false);
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::http2 {

enum class SharedFieldId : std::uint8_t {};

struct HeaderField {
    std::string_view name;  // lower case
    std::string_view value;
    SharedFieldId shared_id{};
    bool is_shared = false;
    bool is_sensitive = false;  // never indexed (RFC 7541 section 7.1.3)

    static HeaderField shared(SharedFieldId id) noexcept {
        return {.name = {}, .value = {}, .shared_id = id, .is_shared = true};
    }
    static HeaderField text(std::string_view name, std::string_view value) noexcept {
        return {.name = name, .value = value};
    }
    static HeaderField sensitive(std::string_view name, std::string_view value) noexcept {
        return {.name = name, .value = value, .is_sensitive = true};
    }
};

// Filled before the first session uses it, constant and shared by all threads afterwards.
class SharedFields {
  public:
    // At most kSharedFieldsMax fields that the static table does not hold whole, of together at
    // most 4096 bytes by HPACK's count (asserted: they are the program's own).
    SharedFieldId add(std::string_view name, std::string_view value);

    std::size_t size() const noexcept { return fields_.size(); }
    // What all of them take in a dynamic table: sum of name + value + 32.
    std::size_t table_bytes() const noexcept { return table_bytes_; }

  private:
    friend class HpackEncoder;
    struct Field {
        std::uint8_t static_index = 0;  // if the static table holds it whole: never inserted
        std::uint8_t slot = 0;          // else: which of the encoder's positions is this field's
        std::string insert;             // encoded: literal with incremental indexing
        std::string literal;            // encoded: literal without indexing
    };
    std::vector<Field> fields_;
    std::size_t table_bytes_ = 0;
    std::uint8_t slots_ = 0;
};

}  // namespace sluice::http2
