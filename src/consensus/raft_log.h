// The core's view of its log: what exists, what is durable, what is committed and applied.
//
//     first ........ memory_first ........ persisted ........ last
//          in storage              |  in memory, handed out or not   |
//
//   applied <= applying <= committed <= last;  committed entries are handed out for applying only
//   when they are persisted here.
//
// Entries stay in memory from append() until they are persisted and applied; earlier ones are only
// known by term (storage/wal/log_index.h) and are read from storage by whoever needs them.
// For one thread; no I/O; nothing suspends. The views in the entries belong to the proposers.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "consensus/types.h"
#include "storage/wal/log_index.h"

namespace sluice::consensus {

class RaftLog {
  public:
    // A log whose entries are all in storage.
    RaftLog(storage::wal::LogIndex stored, std::uint64_t committed, std::uint64_t applied);

    std::uint64_t first_index() const noexcept { return index_.first_index(); }
    std::uint64_t last_index() const noexcept { return index_.last_index(); }
    std::uint64_t last_term() const noexcept { return index_.last_term(); }
    std::uint64_t term_at(std::uint64_t index) const noexcept { return index_.term_at(index); }
    std::uint64_t committed() const noexcept { return committed_; }
    std::uint64_t persisted() const noexcept { return persisted_; }
    std::uint64_t applied() const noexcept { return applied_; }
    std::size_t in_memory() const noexcept { return memory_.size(); }

    // Appends behind last_index(); index and term are set already.
    void append(const LogEntry& entry);

    // The entries that were not handed out for storing yet; they count as handed out now.
    bool has_unstored() const noexcept { return handed_to_store_ < last_index(); }
    void take_unstored(std::vector<LogEntry>& out);

    // The entry is durable, and so are those before it. Ignored if the log has another entry there
    // by now.
    void on_persisted(std::uint64_t index, std::uint64_t term);

    // Raises the commit index; never lowers it.
    bool commit_to(std::uint64_t index);

    // Committed, persisted, not handed out for applying yet: first those that only storage has
    // (a range), then those in memory. They count as handed out now.
    struct Range {
        std::uint64_t first = 1;
        std::uint64_t last = 0;  // last < first: empty
        bool empty() const noexcept { return last < first; }
    };
    bool has_unapplied() const noexcept { return applying_ < appliable(); }
    Range take_unapplied(std::vector<LogEntry>& out);

    // The entries in memory that were never handed out for applying: what a broken log gives up.
    void take_abandoned(std::vector<LogEntry>& out);

    // The state machine holds everything up to the index.
    void on_applied(std::uint64_t index);
    // Storage has given up the entries up to the index.
    void on_released(std::uint64_t index) { index_.release_to(index); }

  private:
    std::uint64_t appliable() const noexcept;
    void drop_from_memory();

    storage::wal::LogIndex index_;
    std::deque<LogEntry> memory_;
    std::uint64_t memory_first_;
    std::uint64_t handed_to_store_;
    std::uint64_t persisted_;
    std::uint64_t committed_;
    std::uint64_t applying_;
    std::uint64_t applied_;
};

}  // namespace sluice::consensus
