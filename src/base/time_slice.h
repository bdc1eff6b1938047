// Asks the kernel to run the calling thread soon after it is woken.
//
// A thread that waits for I/O and answers quickly hardly uses its share of a CPU. Linux's scheduler
// (EEVDF) nevertheless lets a thread that computes finish its slice first, and looks at it in ticks
// only: on a CPU that somebody computes on, each wake-up costs up to 4 or 8 ms. A thread with a
// shorter slice than the one that runs takes its place at once. The share of CPU time, the nice
// value and the policy stay what they were; measured in docs/storage.md.
//
// For threads that stand between a request and its answer: workers, the log writer, the load
// generator. Threads that they start begin with the default again. Never fails: before Linux 6.12
// the kernel ignores the wish, and a thread of another policy than SCHED_OTHER is left alone.
// Costs two system calls, once. Any thread, for itself.
//
//   std::thread([] { wish_short_slices(); ... });
#pragma once

namespace sluice {

void wish_short_slices() noexcept;

}  // namespace sluice
