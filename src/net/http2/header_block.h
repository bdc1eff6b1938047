// A decoded header block, as a session hands it to its handler, and the worker's memory it lies in.
//
//   void on_headers(StreamId stream, void* user, HeaderBlock& block, bool end_stream) {
//       if (block.tag() != 0) return start(stream, MethodId(block.tag()));    // same as last time
//       const Header* path = block.find(HeaderId::kPath);
//       ...
//       block.set_tag(method);
//   }
//
// Views (names, values, the span itself) end with the callback. Everything here belongs to the one
// session that is inside feed(); nothing suspends or blocks.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "net/http2/header_id.h"

namespace sluice::http2 {

class HpackDecoder;

struct Header {
    std::string_view name;   // lower case; pseudo headers keep their colon
    std::string_view value;  // Huffman-decoded
    HeaderId id = HeaderId::kNone;
    bool valid = true;  // name and value have only characters that RFC 9113 section 8.2.1 allows
    bool is_table_view = false;  // for the decoder: the next insert may overwrite it
};

// Memory for decoding one block: about 64 KB at most, one per worker, lent to feed(). Its content
// means nothing between two calls.
class Scratch {
  public:
    Scratch();
    ~Scratch();
    Scratch(Scratch&&) noexcept;
    Scratch& operator=(Scratch&&) noexcept;

  private:
    friend class HpackDecoder;
    friend class HeaderBlock;
    std::string_view keep(std::string_view text) noexcept;  // a copy that lasts for this block

    std::vector<Header> headers_;
    std::unique_ptr<char[]> text_;
    std::size_t text_used_ = 0;
    std::size_t headers_kept_ = 0;  // headers_[0..this) are not views of a table
};

class HeaderBlock {
  public:
    // The headers in wire order, pseudo headers first (the session has checked them). When tag() is
    // not 0 they have not been decoded yet: the first call does it.
    std::span<const Header> headers();

    // The first header with that id, or nullptr. Linear.
    const Header* find(HeaderId id);

    // What the handler stored for a block of exactly these bytes and this table state, or 0.
    std::uint64_t tag() const noexcept { return tag_; }

    // Remembers `tag` until the table changes or a different block arrives. Store it only if it
    // stands for everything the handler wants to know of the block. No effect for a block that
    // cannot be remembered (literals in it, trailers, a content-length).
    void set_tag(std::uint64_t tag) noexcept;

    // The second header block of a message: trailers.
    bool is_trailers() const noexcept { return is_trailers_; }

    // For Session. `tag` is the cached one, or 0 for a block that `scratch` holds decoded.
    HeaderBlock(HpackDecoder& decoder, Scratch& scratch, std::string_view bytes, std::uint64_t tag,
                bool may_cache, bool is_trailers) noexcept
        : decoder_(decoder),
          scratch_(scratch),
          bytes_(bytes),
          tag_(tag),
          decoded_(tag == 0),
          may_cache_(may_cache),
          is_trailers_(is_trailers) {}

  private:
    HpackDecoder& decoder_;
    Scratch& scratch_;
    std::string_view bytes_;
    std::uint64_t tag_;
    bool decoded_;
    bool may_cache_;
    bool is_trailers_;
};

}  // namespace sluice::http2
