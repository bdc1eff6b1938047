// Memory that the allocator keeps free, back to the kernel.
//
//   const PromptFrees prompt;   // what is freed from here on is not kept,
//   cache.clear();
//   return_free_memory();       // nor what was free before
#pragma once

namespace sluice {

// Gives back what the allocator keeps free: of mimalloc the calling thread's heap and what ended
// threads have left (other threads give theirs back when they call it), of jemalloc and glibc
// everything. Any thread; about a millisecond, more the more there is. Never suspends.
void return_free_memory() noexcept;

// While one lives, mimalloc gives parts of its segments back as they become free, on any thread.
// Otherwise it waits, for the next operation on the same segment: after a burst there may be none,
// and return_free_memory() gives back whole segments alone. Nothing changes with other allocators.
// Any thread, several at once; for about a millisecond, since every free of a large block may be a
// system call meanwhile.
class PromptFrees {
  public:
    PromptFrees() noexcept;
    ~PromptFrees();
    PromptFrees(const PromptFrees&) = delete;
    PromptFrees& operator=(const PromptFrees&) = delete;
};

}  // namespace sluice
