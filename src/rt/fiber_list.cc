#include "base/check.h"
#include "rt/park.h"

namespace sluice::rt {

FiberList::~FiberList() {
    SLUICE_CHECK(empty());
}

void FiberList::push_back(Fiber* fiber) noexcept {
    SLUICE_ASSERT(fiber != nullptr && fiber->next_ == nullptr);
    if (head_ == nullptr) {
        head_ = fiber;
    } else {
        tail_->next_ = fiber;
    }
    tail_ = fiber;
    ++size_;
}

void FiberList::push_front(Fiber* fiber) noexcept {
    SLUICE_ASSERT(fiber != nullptr && fiber->next_ == nullptr);
    fiber->next_ = head_;
    head_ = fiber;
    if (tail_ == nullptr) tail_ = fiber;
    ++size_;
}

Fiber* FiberList::pop_front() noexcept {
    Fiber* fiber = head_;
    if (fiber == nullptr) return nullptr;
    head_ = std::exchange(fiber->next_, nullptr);
    if (head_ == nullptr) tail_ = nullptr;
    SLUICE_ASSERT(size_ > 0);
    --size_;
    return fiber;
}

void FiberList::append(FiberList&& other) noexcept {
    if (other.head_ == nullptr) return;
    if (head_ == nullptr) {
        head_ = other.head_;
    } else {
        tail_->next_ = other.head_;
    }
    tail_ = std::exchange(other.tail_, nullptr);
    size_ += std::exchange(other.size_, 0);
    other.head_ = nullptr;
}

}  // namespace sluice::rt
