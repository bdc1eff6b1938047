// A runtime with two workers, and one fiber that sleeps without keeping a thread.
#include <cstdio>

#include "rt/runtime.h"
#include "rt/timer.h"

int main() {
    sluice::rt::Runtime runtime({.workers = 2});
    runtime.run([] {
        sluice::rt::sleep_for(sluice::kMillisecond);
        std::puts("hello from a fiber");
    });
}
