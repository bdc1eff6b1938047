#include "rt/processor.h"

namespace sluice::rt {
namespace {

// SplitMix64 (Steele, Lea, Flood, 2014): a full-period generator of one word of state.
std::uint64_t next_random(std::uint64_t& state) noexcept {
    state += 0x9e3779b97f4a7c15;
    std::uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

}  // namespace

Fiber* Processor::pop_in_order() {
    if (bag_ != nullptr) return pop_random();
    if (run_next_.load(std::memory_order_relaxed) != nullptr) {
        const bool others_wait = queue.size() > 0 || !arrivals_.empty() || !inbox.empty();
        if (++run_next_streak_ <= limits::kRunNextMax || !others_wait) {
            if (Fiber* fiber = run_next_.exchange(nullptr, std::memory_order_acq_rel)) return fiber;
        }
    }
    run_next_streak_ = 0;
    if (arrivals_.empty() && !inbox.empty()) inbox.take_all(arrivals_);
    if (Fiber* fiber = arrivals_.pop_front()) return fiber;
    if (Fiber* fiber = queue.pop()) return fiber;
    // Thieves may have emptied the queue since it was preferred above.
    return run_next_.exchange(nullptr, std::memory_order_acq_rel);
}

void Processor::push_random(Fiber* fiber) {
    bag_->push_back(fiber);
}

Fiber* Processor::pop_random() {
    inbox.take_all(arrivals_);
    while (Fiber* fiber = arrivals_.pop_front()) bag_->push_back(fiber);
    if (Fiber* fiber = run_next_.exchange(nullptr, std::memory_order_acq_rel)) {
        bag_->push_back(fiber);
    }
    if (bag_->empty()) return nullptr;
    const std::size_t index = next_random(random_) % bag_->size();
    Fiber* fiber = (*bag_)[index];
    bag_->erase(bag_->begin() + static_cast<std::ptrdiff_t>(index));
    return fiber;
}

}  // namespace sluice::rt
