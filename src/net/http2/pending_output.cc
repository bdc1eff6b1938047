#include "net/http2/pending_output.h"

#include "base/check.h"

namespace sluice::http2 {

void PendingOutput::keep_trailers(std::span<const HeaderField> fields) {
    SLUICE_ASSERT(trailers.empty() && !ends_stream);
    trailers.reserve(fields.size());
    for (const HeaderField& field : fields)
        trailers.push_back({std::string(field.name), std::string(field.value), field});
    ends_stream = true;
}

void PendingQueue::push_back(PendingOutput& output) noexcept {
    SLUICE_ASSERT(!output.is_queued);
    output.is_queued = true;
    output.next = nullptr;
    output.previous = tail_;
    (tail_ == nullptr ? head_ : tail_->next) = &output;
    tail_ = &output;
}

void PendingQueue::remove(PendingOutput& output) noexcept {
    SLUICE_ASSERT(output.is_queued);
    output.is_queued = false;
    (output.previous == nullptr ? head_ : output.previous->next) = output.next;
    (output.next == nullptr ? tail_ : output.next->previous) = output.previous;
}

}  // namespace sluice::http2
