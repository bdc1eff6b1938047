// Which entries the log holds and of which terms, without the entries: runs of equal terms.
//
// Memory is 16 bytes a term that occurs, not an entry. Lookups are logarithmic in the number of
// terms. For one thread. Terms never fall with rising index (Raft's log matching); append() checks.
//
//   LogIndex index(/*next_index=*/1, /*previous_term=*/0);
//   index.append(1, 1);
//   index.term_at(1);   // 1
#pragma once

#include <cstdint>
#include <vector>

namespace sluice::storage::wal {

class LogIndex {
  public:
    LogIndex() : LogIndex(1, 0) {}
    // An empty log whose next entry is `next_index` and follows an entry of `previous_term`.
    LogIndex(std::uint64_t next_index, std::uint64_t previous_term);

    std::uint64_t first_index() const noexcept { return first_; }  // last_index() + 1: none held
    std::uint64_t last_index() const noexcept { return last_; }
    std::uint64_t last_term() const noexcept { return term_at(last_); }

    // Term of a held entry or of the one before the first; 0 for any other.
    std::uint64_t term_at(std::uint64_t index) const noexcept;

    // May the entry be appended? (contiguous, term not falling)
    bool follows(std::uint64_t index, std::uint64_t term) const noexcept;
    void append(std::uint64_t index, std::uint64_t term);
    // Drops the entries behind `index`, which must be first_index() - 1 or later.
    void truncate_after(std::uint64_t index);
    // Forgets the entries up to and including `index`; at most last_index().
    void release_to(std::uint64_t index);

  private:
    struct Run {
        std::uint64_t first;
        std::uint64_t term;
    };
    std::uint64_t first_;
    std::uint64_t last_;
    std::vector<Run> runs_;  // the first covers first_ - 1, so that its term is known, too
};

}  // namespace sluice::storage::wal
