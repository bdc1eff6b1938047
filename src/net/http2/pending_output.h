// The payload of one stream that waits for a window or for its turn, with what ends the stream
// after it, and the queue of streams whose turn will come. Exists only while something waits.
// Single-threaded.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "net/http2/header_field.h"
#include "net/http2/output_buffer.h"

namespace sluice::http2 {

struct PendingOutput {
    explicit PendingOutput(std::uint32_t stream_id) : stream(stream_id) {}

    // Trailers whose text outlives the caller's.
    struct Field {
        std::string name;
        std::string value;
        HeaderField field;
    };

    const std::uint32_t stream;
    bool ends_stream = false;  // after the last byte
    bool is_queued = false;
    bool is_answer = false;  // complete, and nobody here waits for it any more
    PendingOutput* next = nullptr;
    PendingOutput* previous = nullptr;
    OutputBuffer data;
    std::vector<Field> trailers;  // if there are any, they carry END_STREAM

    void keep_trailers(std::span<const HeaderField> fields);
};

// Round robin: take the front, and put it to the back if it has more. Intrusive.
class PendingQueue {
  public:
    PendingOutput* front() const noexcept { return head_; }
    void push_back(PendingOutput& output) noexcept;
    void remove(PendingOutput& output) noexcept;

  private:
    PendingOutput* head_ = nullptr;
    PendingOutput* tail_ = nullptr;
};

}  // namespace sluice::http2
