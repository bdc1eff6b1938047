// The calling thread's Worker, and what is left of the running fiber's budget. They and the record
// for outside readers (rt/outside_record.h) are the runtime's only thread_locals, all in
// current_worker.cc.
//
// A compiler may compute the address of a thread_local once and keep it across a call that in truth
// comes back on another thread (a fiber that migrated). So the variables are reached only through
// these functions: on x86-64 by one instruction that names the thread register, so that there is no
// address to keep; elsewhere by functions that are never inlined, in a file which must not take
// part in link-time optimisation. The instruction's form (local-exec) wants this library linked
// into programs, not into a shared library. Cost: below 1 ns; elsewhere 1-2 ns.
#pragma once

namespace sluice::rt {

class Worker;

// By a worker's thread, when it starts and ends to serve.
void set_current_worker(Worker* worker) noexcept;

// The calling thread's budget itself, for others who want it to be spent (Worker::ask_to_yield).
// They write it as an atomic; use_budget() is no atomic step, so it may overwrite that.
int& thread_budget() noexcept;

#if defined(__x86_64__)

// nullptr on a thread that is no worker.
[[gnu::always_inline]] inline Worker* current_worker() noexcept {
    Worker* worker;
    asm volatile("movq %%fs:sluice_current_worker@tpoff, %0" : "=r"(worker) : : "memory");
    return worker;
}

// By a worker, when it switches a fiber in.
[[gnu::always_inline]] inline void set_budget(int calls) noexcept {
    asm volatile("movl %0, %%fs:sluice_fiber_budget@tpoff" : : "r"(calls) : "memory");
}

// Takes one call off; true if the budget is used up. On any thread.
[[gnu::always_inline]] inline bool use_budget() noexcept {
    bool spent;
    asm volatile("decl %%fs:sluice_fiber_budget@tpoff" : "=@ccle"(spent) : : "memory");
    return spent;
}

#else

Worker* current_worker() noexcept;
void set_budget(int calls) noexcept;
bool use_budget() noexcept;

#endif

}  // namespace sluice::rt
