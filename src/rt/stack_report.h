// What Runtime::stack_report() tells: how many stacks there are, and how deep they really went.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "rt/stack_class.h"

namespace sluice::rt {

struct StackReport {
    // Of one size. A slot's bytes are whole pages and include the Fiber object.
    struct Class {
        const char* name = "";
        std::size_t slot_bytes = 0;
        std::size_t slots = 0;             // ever carved
        std::size_t kept = 0;              // free, memory kept (not counting workers' own caches)
        std::size_t cold = 0;              // free, memory with the kernel
        std::size_t unguarded = 0;         // without a guard page: the kernel had none left
        std::size_t high_water_bytes = 0;  // the deepest use of any slot
        std::uint64_t returned = 0;        // slots whose memory was given back
        std::uint64_t return_calls = 0;    // system calls that took
    };
    // Of the fibers of one name, by samples.
    struct Depth {
        std::string name;
        StackClass stack = StackClass::kNormal;  // of the deepest
        std::size_t high_water_bytes = 0;
        std::uint64_t samples = 0;
    };
    std::array<Class, kStackClasses> classes;
    std::vector<Depth> fibers;  // the deepest first; at most limits::kStackNamesMax
};

}  // namespace sluice::rt
