#include "consensus/raft_log.h"

#include <algorithm>

#include "base/check.h"

namespace sluice::consensus {

RaftLog::RaftLog(storage::wal::LogIndex stored, std::uint64_t committed, std::uint64_t applied)
    : index_(std::move(stored)),
      memory_first_(index_.last_index() + 1),
      handed_to_store_(index_.last_index()),
      persisted_(index_.last_index()),
      committed_(std::max(committed, applied)),
      applying_(applied),
      applied_(applied) {
    SLUICE_CHECK(committed_ <= last_index());
}

void RaftLog::append(const LogEntry& entry) {
    index_.append(entry.index, entry.term);
    memory_.push_back(entry);
    SLUICE_ASSERT(memory_first_ + memory_.size() == last_index() + 1);
}

void RaftLog::take_unstored(std::vector<LogEntry>& out) {
    SLUICE_ASSERT(handed_to_store_ + 1 >= memory_first_);
    const auto from = static_cast<std::ptrdiff_t>(handed_to_store_ + 1 - memory_first_);
    out.insert(out.end(), memory_.begin() + from, memory_.end());
    handed_to_store_ = last_index();
}

void RaftLog::on_persisted(std::uint64_t index, std::uint64_t term) {
    if (index <= persisted_ || index_.term_at(index) != term) return;
    SLUICE_CHECK(index <= handed_to_store_);
    persisted_ = index;
    drop_from_memory();
}

bool RaftLog::commit_to(std::uint64_t index) {
    if (index <= committed_) return false;
    SLUICE_CHECK(index <= last_index());
    committed_ = index;
    return true;
}

std::uint64_t RaftLog::appliable() const noexcept {
    return std::min(committed_, persisted_);
}

RaftLog::Range RaftLog::take_unapplied(std::vector<LogEntry>& out) {
    const std::uint64_t to = appliable();
    Range stored;
    if (applying_ + 1 < memory_first_) {
        stored = {.first = applying_ + 1, .last = std::min(to, memory_first_ - 1)};
        applying_ = stored.last;
    }
    if (applying_ < to) {
        const auto from = static_cast<std::ptrdiff_t>(applying_ + 1 - memory_first_);
        const auto end = static_cast<std::ptrdiff_t>(to + 1 - memory_first_);
        out.insert(out.end(), memory_.begin() + from, memory_.begin() + end);
        applying_ = to;
    }
    SLUICE_ASSERT(applying_ == to);
    return stored;
}

void RaftLog::take_abandoned(std::vector<LogEntry>& out) {
    for (const LogEntry& entry : memory_) {
        if (entry.index > applying_) out.push_back(entry);
    }
}

void RaftLog::on_applied(std::uint64_t index) {
    SLUICE_CHECK(index <= applying_);
    applied_ = std::max(applied_, index);
    drop_from_memory();
}

void RaftLog::drop_from_memory() {
    const std::uint64_t keep_from = std::min(applied_, persisted_) + 1;
    while (memory_first_ < keep_from && !memory_.empty()) {
        memory_.pop_front();
        ++memory_first_;
    }
}

}  // namespace sluice::consensus
