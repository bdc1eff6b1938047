// FiberDepths: how deep fibers of each name went, from samples. A bounded table: names that come
// when it is full are counted together under "other".
//
// Any thread; a lock and a search among limits::kStackNamesMax names. Not for hot paths: a sample
// is taken where the memory of a stack was fresh when its fiber began, some ten times a second.
#pragma once

#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "rt/stack_report.h"

namespace sluice::rt {

class FiberDepths {
  public:
    void record(std::string_view name, StackClass stack, std::size_t bytes);
    // The deepest first.
    std::vector<StackReport::Depth> all() const;

  private:
    mutable Mutex mutex_;
    std::vector<StackReport::Depth> names_ SLUICE_GUARDED_BY(mutex_);
};

}  // namespace sluice::rt
