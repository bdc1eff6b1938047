// The calling thread's Worker. It and the record for outside readers (rt/outside_record.h) are the
// runtime's only thread_locals, both in current_worker.cc.
//
// A compiler may compute the address of a thread_local once and keep it across a call that in truth
// comes back on another thread (a fiber that migrated). So the variable is reached only through
// this function, which is never inlined and whose result the compiler cannot assume to be stable.
// Its file must not take part in link-time optimisation. Cost: 1-2 ns.
#pragma once

namespace sluice::rt {

class Worker;

// nullptr on a thread that is no worker.
Worker* current_worker() noexcept;

// By a worker's thread, when it starts and ends to serve.
void set_current_worker(Worker* worker) noexcept;

}  // namespace sluice::rt
