// The events of the last revisions, encoded, in bounded memory: what a watcher that is slightly
// behind reads instead of the disk. Revisions are contiguous.
//
// Not thread-safe: guarded by the hub's lock. push() is O(1) and frees at most what it pushes out.
//
//   RecentEvents recent(next_revision, 16 << 20);
//   recent.push(EncodedBatch(batch));
//   if (recent.first() <= from && from < recent.end()) use(recent.at(from));
#pragma once

#include <deque>

#include "base/check.h"
#include "base/limits.h"
#include "etcd/event_encoding.h"

namespace sluice::etcd {

class RecentEvents {
  public:
    RecentEvents(storage::Revision next, std::size_t bytes_max)
        : bytes_max_(bytes_max), end_(next) {}

    // The next revision's events. Pushes the oldest out until the bounds hold, itself at last.
    void push(EncodedBatch batch) {
        SLUICE_CHECK(batch.revision() == end_);
        ++end_;
        bytes_ += batch.memory_bytes();
        batches_.push_back(std::move(batch));
        while (!batches_.empty() &&
               (bytes_ > bytes_max_ || batches_.size() > limits::kWatchRecentRevisionsMax)) {
            bytes_ -= batches_.front().memory_bytes();
            batches_.pop_front();
        }
    }
    // Forgets everything; `next` is the next revision to be pushed.
    void reset(storage::Revision next) {
        batches_.clear();
        bytes_ = 0;
        end_ = next;
    }

    // Held are the revisions [first(), end()).
    storage::Revision first() const {
        return end_ - static_cast<storage::Revision>(batches_.size());
    }
    storage::Revision end() const { return end_; }
    const EncodedBatch& at(storage::Revision revision) const {
        SLUICE_ASSERT(first() <= revision && revision < end_);
        return batches_[static_cast<std::size_t>(revision - first())];
    }
    std::size_t bytes() const { return bytes_; }

  private:
    std::size_t bytes_max_;
    storage::Revision end_;
    std::size_t bytes_ = 0;
    std::deque<EncodedBatch> batches_;
};

}  // namespace sluice::etcd
