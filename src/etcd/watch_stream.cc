#include "etcd/watch_stream.h"

#include <utility>

#include "base/check.h"
#include "etcd/protobuf_wire.h"
#include "etcd/watch_hub.h"

namespace sluice::etcd {
namespace {

constexpr std::uint32_t kResponseWatchId = 2;  // proto/etcdserverpb/watch.proto
constexpr std::size_t kQueueKept = 16;         // messages an empty queue keeps room for

std::size_t cost(const WatchMessage& message) {
    return message.size() + limits::kWatchMessageOverhead;
}

}  // namespace

WatchMessage::WatchMessage(std::int64_t watch_id, SharedBytes body) : body_(std::move(body)) {
    char* out =
        wire::write_int(prefix_.data(), kResponseWatchId, static_cast<std::uint64_t>(watch_id));
    prefix_size_ = static_cast<std::uint8_t>(out - prefix_.data());
    SLUICE_ASSERT(prefix_size_ <= prefix_.size());
}

WatchStream::~WatchStream() {
    hub_.close(*this);
}

void WatchStream::create(const WatchSpec& spec) {
    hub_.create(*this, spec);
}
void WatchStream::refuse(std::string_view reason) {
    hub_.refuse(*this, reason);
}
void WatchStream::cancel(std::int64_t watch_id) {
    hub_.cancel(*this, watch_id);
}
void WatchStream::request_progress() {
    hub_.request_progress(*this);
}

void WatchStream::push(WatchMessage message) {
    const bool was_empty = head_ == queue_.size();
    queue_bytes_ += cost(message);
    queue_.push_back(std::move(message));
    if (was_empty) sink_.on_messages();
}

bool WatchStream::offer(std::int64_t watch_id, std::span<const SharedBytes> responses) {
    std::size_t bytes = 0;
    for (const SharedBytes& body : responses) bytes += body.size() + limits::kWatchMessageOverhead;
    MutexLock lock(queue_mutex_);
    // An empty queue takes anything, else a response above the bound could never be sent.
    if (queue_bytes_ > 0 && queue_bytes_ + bytes > hub_.stream_bytes_max()) {
        was_full_ = true;
        return false;
    }
    for (const SharedBytes& body : responses) push(WatchMessage(watch_id, body));
    return true;
}

void WatchStream::queue_answer(std::int64_t watch_id, SharedBytes body) {
    WatchMessage message(watch_id, std::move(body));
    message.mark_as_answer();
    MutexLock lock(queue_mutex_);
    answer_bytes_ += cost(message);
    push(std::move(message));
}

bool WatchStream::take(std::vector<WatchMessage>& out, std::size_t bytes_max) {
    bool drained = false;
    {
        MutexLock lock(queue_mutex_);
        if (head_ == queue_.size()) return false;
        std::size_t bytes = 0;
        while (head_ < queue_.size() && bytes < bytes_max) {
            WatchMessage& message = queue_[head_++];
            SLUICE_ASSERT(queue_bytes_ >= cost(message));
            queue_bytes_ -= cost(message);
            if (message.is_answer()) {
                SLUICE_ASSERT(answer_bytes_ >= cost(message));
                answer_bytes_ -= cost(message);
            }
            bytes += message.size();
            out.push_back(std::move(message));
        }
        forget_taken();
        if (was_full_ && queue_bytes_ <= hub_.stream_bytes_max() / 2) {
            was_full_ = false;
            drained = true;
        }
    }
    if (drained) hub_.drained(*this);
    return true;
}

// Frees the room of what has been taken, at a cost that is spread over the messages.
void WatchStream::forget_taken() {
    if (head_ == queue_.size()) {
        SLUICE_ASSERT(queue_bytes_ == 0);
        queue_.clear();
        head_ = 0;
        if (queue_.capacity() > kQueueKept) queue_.shrink_to_fit();
    } else if (head_ > queue_.size() / 2) {
        queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(head_));
        head_ = 0;
    }
}

bool WatchStream::congested() const {
    MutexLock lock(queue_mutex_);
    return answer_bytes_ >= limits::kWatchAnswerBytesMax;
}

std::size_t WatchStream::pending_bytes() const {
    MutexLock lock(queue_mutex_);
    return queue_bytes_;
}

}  // namespace sluice::etcd
