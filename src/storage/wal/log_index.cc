#include "storage/wal/log_index.h"

#include <algorithm>

#include "base/check.h"

namespace sluice::storage::wal {

LogIndex::LogIndex(std::uint64_t next_index, std::uint64_t previous_term)
    : first_(next_index), last_(next_index - 1), runs_{{next_index - 1, previous_term}} {
    SLUICE_CHECK(next_index > 0);
}

std::uint64_t LogIndex::term_at(std::uint64_t index) const noexcept {
    if (index + 1 < first_ || index > last_) return 0;
    const auto after = std::ranges::upper_bound(runs_, index, {}, &Run::first);
    SLUICE_CHECK(after != runs_.begin());
    return std::prev(after)->term;
}

bool LogIndex::follows(std::uint64_t index, std::uint64_t term) const noexcept {
    return index == last_ + 1 && term >= runs_.back().term && term > 0;
}

void LogIndex::append(std::uint64_t index, std::uint64_t term) {
    SLUICE_CHECK(follows(index, term));
    if (term != runs_.back().term) runs_.push_back({index, term});
    last_ = index;
    SLUICE_ASSERT(term_at(index) == term);
}

void LogIndex::truncate_after(std::uint64_t index) {
    SLUICE_CHECK(index + 1 >= first_ && index <= last_);
    while (runs_.size() > 1 && runs_.back().first > index) runs_.pop_back();
    last_ = index;
    SLUICE_ASSERT(runs_.front().first <= last_);
}

void LogIndex::release_to(std::uint64_t index) {
    SLUICE_CHECK(index <= last_);
    if (index < first_) return;
    first_ = index + 1;
    const auto after = std::ranges::upper_bound(runs_, index, {}, &Run::first);
    runs_.erase(runs_.begin(), std::prev(after));
    runs_.front().first = index;
}

}  // namespace sluice::storage::wal
