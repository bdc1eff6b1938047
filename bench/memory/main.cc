// What a parked fiber, an idle socket and a burst cost in memory (test/bench/memory.py runs it):
//
//   memory_bench fibers COUNT small|normal|large
//   memory_bench sockets COUNT auto|io_uring|epoll
//   memory_bench burst BYTES limited|quiet
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "modes.h"

int main(int argc, char** argv) {
    const std::string mode = argc == 4 ? argv[1] : "";
    const std::size_t count = argc == 4 ? std::strtoull(argv[2], nullptr, 10) : 0;
    if (mode == "sockets" && count > 0) {
        memory_bench::hold_sockets(count, argv[3]);
        return 0;
    }
    if (mode == "burst" && count > 0) {
        memory_bench::outgrow_limit(count, std::strcmp(argv[3], "limited") == 0);
        return 0;
    }
    if (mode == "fibers" && count > 0) {
        for (const sluice::rt::StackClass stack : sluice::rt::kEveryStackClass) {
            if (std::strcmp(argv[3], stack_class_name(stack)) != 0) continue;
            memory_bench::park_fibers(count, stack);
            return 0;
        }
    }
    std::fprintf(
        stderr, "usage: %s fibers COUNT STACK | sockets COUNT POLLER | burst BYTES limited|quiet\n",
        argv[0]);
    return 2;
}
