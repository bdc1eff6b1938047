#include "rt/fiber_depths.h"

#include <algorithm>

namespace sluice::rt {

void FiberDepths::record(std::string_view name, StackClass stack, std::size_t bytes) {
    const MutexLock lock(mutex_);
    auto at = std::ranges::find(names_, name, &StackReport::Depth::name);
    if (at == names_.end() && names_.size() + 1 >= limits::kStackNamesMax) {
        name = "other";
        at = std::ranges::find(names_, name, &StackReport::Depth::name);
    }
    if (at == names_.end()) {
        names_.push_back({.name = std::string(name)});
        at = names_.end() - 1;
    }
    ++at->samples;
    if (bytes <= at->high_water_bytes) return;
    at->high_water_bytes = bytes;
    at->stack = stack;
}

std::vector<StackReport::Depth> FiberDepths::all() const {
    std::vector<StackReport::Depth> sorted;
    {
        const MutexLock lock(mutex_);
        sorted = names_;
    }
    std::ranges::sort(sorted, std::ranges::greater{}, &StackReport::Depth::high_water_bytes);
    return sorted;
}

}  // namespace sluice::rt
