// What blocks its thread goes into blocking(): the fiber waits, its worker runs others.
#include "rt/blocking.h"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <thread>

#include "rt/runtime.h"
#include "sync/group.h"

using namespace sluice;

int main() {
    rt::Runtime runtime({.workers = 1});
    runtime.run([] {
        std::atomic<bool> stop = false;
        std::atomic<int> turns = 0;
        sync::Group group(nullptr);
        group.spawn([&] {
            while (!stop) {
                ++turns;
                rt::yield();
            }
        });
        const int result = rt::blocking([&turns] {
            // On a thread of the pool. The only worker goes on meanwhile.
            while (turns < 100) std::this_thread::sleep_for(std::chrono::milliseconds(1));
            return 42;
        });
        stop = true;
        (void)group.wait();
        std::printf("%d, and the other fiber had %s\n", result,
                    turns >= 100 ? "100 turns and more" : "no turns");
    });
}
