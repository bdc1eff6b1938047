// Gives what the allocator keeps free back to the kernel: of mimalloc the
// calling thread's heap and what ended threads have left (other threads give
// theirs back when they call it), of jemalloc and glibc everything. Any thread;
// about a millisecond, more the more there is. Never suspends.
#pragma once

namespace sluice {

void return_free_memory() noexcept;

}  // namespace sluice
