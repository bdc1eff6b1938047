// A Mutex may be held while its fiber waits. Who made whom wait is in the lock profile.
#include <cstdio>

#include "rt/runtime.h"
#include "rt/timer.h"
#include "sync/event.h"
#include "sync/group.h"
#include "sync/mutex.h"

using namespace sluice;

int main() {
    rt::Runtime runtime({.workers = 1});  // so that the fibers below run in this order
    runtime.run([] {
        sync::Mutex mutex;
        int balance = 100;  // guarded by it
        sync::Event paid;
        sync::Group group(nullptr);
        group.spawn(
            [&] {
                const sync::MutexGuard guard(mutex);
                (void)paid.wait();
                balance += 50;
            },
            "slow writer");
        rt::yield();  // it has the mutex
        group.spawn(
            [&] {
                const sync::MutexGuard guard(mutex);
                std::printf("balance %d\n", balance);
            },
            "reader");
        rt::yield();  // it waits for the mutex
        rt::sleep_for(2 * kMillisecond);
        paid.set();
        (void)group.wait();
    });
    for (const rt::LockContention& row : runtime.lock_profile().rows) {
        std::printf("%s waited for %s, %s\n", row.waiter.name.data(), row.holder.name.data(),
                    row.longest_ns > kMillisecond ? "more than a millisecond" : "not for long");
    }
}
