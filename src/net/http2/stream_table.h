// The streams of one connection, by id: an open-addressing table of small records that exists only
// while a stream does.
//
// Ids of one side are consecutive odd numbers, so id / 2 is a perfect start of the probe; a
// long-lived watch stream just occupies its place while short calls pass by. Records move when the
// table grows or a neighbour goes: a Stream* holds until the next insert or erase.
// Single-threaded. Cost: find is one compare in the usual case.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "net/http2/error_code.h"
#include "net/http2/pending_output.h"

namespace sluice::http2 {

struct Stream {
    std::uint32_t id = 0;  // 0: a free place

    // What has happened on the wire; local_ended also when END_STREAM waits in `pending`.
    bool remote_ended : 1 = false;
    bool local_ended : 1 = false;
    bool is_reset : 1 = false;  // by either side
    // What the application has done and been told.
    bool is_released : 1 = false;
    bool is_settled : 1 = false;      // its end was noted, and told where it had to be
    bool wants_writable : 1 = false;  // kBlocked was returned
    // Message state.
    bool sent_headers : 1 = false;
    bool has_headers : 1 = false;     // the final headers of the peer's message have come
    bool ignores_length : 1 = false;  // response to HEAD, or 204, 304: no payload to count

    ErrorCode reset_code = ErrorCode::kNoError;
    std::int32_t send_window = 0;
    std::int32_t receive_window = 0;  // what the peer may still send
    std::uint32_t unconsumed = 0;     // delivered, consume() has not come yet
    std::uint32_t consumed = 0;       // consumed, not yet granted again
    std::int64_t content_left = -1;   // announced by content-length; -1: not announced
    void* user = nullptr;
    std::unique_ptr<PendingOutput> pending;  // payload that waits for a window or for its turn

    bool is_wire_closed() const noexcept {
        return is_reset || (remote_ended && local_ended && pending == nullptr);
    }
};

class StreamTable {
  public:
    Stream* find(std::uint32_t id) noexcept {
        if (count_ == 0 || id == 0) return nullptr;
        for (std::uint32_t i = id / 2;; ++i) {
            Stream& stream = streams_[i & mask_];
            if (stream.id == id) return &stream;
            if (stream.id == 0) return nullptr;
        }
    }
    const Stream* find(std::uint32_t id) const noexcept {
        return const_cast<StreamTable*>(this)->find(id);
    }

    // A new record; the id is not in the table. Grows the table when it is three quarters full.
    Stream& insert(std::uint32_t id);
    void erase(Stream& stream) noexcept;

    std::uint32_t count() const noexcept { return count_; }
    std::size_t memory_bytes() const noexcept { return capacity() * sizeof(Stream); }

    // All ids, for walks during which streams come and go.
    std::vector<std::uint32_t> ids() const;

    template <class F>
    void for_each(F&& f) {
        for (std::uint32_t i = 0; i < capacity(); ++i)
            if (streams_[i].id != 0) f(streams_[i]);
    }

    // Frees the table if it is empty, shrinks it if few streams are left.
    void trim() noexcept;

  private:
    std::uint32_t capacity() const noexcept { return streams_ == nullptr ? 0 : mask_ + 1; }
    void rehash(std::uint32_t capacity);

    std::unique_ptr<Stream[]> streams_;
    std::uint32_t mask_ = 0;
    std::uint32_t count_ = 0;
};

}  // namespace sluice::http2
