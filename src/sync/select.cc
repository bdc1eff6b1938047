#include "sync/select.h"

#include <algorithm>
#include <array>
#include <functional>

#include "base/check.h"
#include "base/limits.h"

namespace sluice::sync {

// One call of select(). Not analysed by the compiler: it holds a variable number of locks.
class SelectOperation {
  public:
    explicit SelectOperation(std::span<const SelectCase> cases) noexcept : cases_(cases) {
        SLUICE_CHECK(cases.size() <= limits::kSelectCasesMax);
        for (const SelectCase& one : cases) locked_[locked_count_++] = one.channel;
        const auto begin = locked_.begin();
        std::sort(begin, begin + locked_count_, std::less<>());
        locked_count_ = static_cast<std::size_t>(std::unique(begin, begin + locked_count_) - begin);
    }

    Selected try_now() noexcept {
        lock_all();
        return do_one_and_unlock();
    }

    Selected wait(const Context& context);

  private:
    using Node = ChannelCore::Node;

    // Room for a node without constructing those that are not needed.
    union Slot {
        Slot() noexcept {}
        ~Slot() {}
        Node node;
    };

    void lock_all() noexcept SLUICE_NO_THREAD_SAFETY_ANALYSIS {
        for (std::size_t i = 0; i < locked_count_; ++i) locked_[i]->lock_.lock();
    }
    void unlock_all() noexcept SLUICE_NO_THREAD_SAFETY_ANALYSIS {
        for (std::size_t i = 0; i < locked_count_; ++i) locked_[i]->lock_.unlock();
    }

    // With the locks held. Unlocks them if a case was done, or else if `keep_locks` is false.
    Selected do_one_and_unlock(bool keep_locks = false) noexcept SLUICE_NO_THREAD_SAFETY_ANALYSIS;
    void enqueue_all(Waiter& waiter) noexcept SLUICE_NO_THREAD_SAFETY_ANALYSIS;
    void leave_all() noexcept;
    WaitList& queue_of(const SelectCase& one) const noexcept SLUICE_NO_THREAD_SAFETY_ANALYSIS {
        return one.kind == SelectCase::Kind::kSend ? one.channel->senders_
                                                   : one.channel->receivers_;
    }

    const std::span<const SelectCase> cases_;
    std::array<ChannelCore*, limits::kSelectCasesMax> locked_;
    std::size_t locked_count_ = 0;
    std::array<Slot, limits::kSelectCasesMax> slots_;
};

Selected SelectOperation::do_one_and_unlock(bool keep_locks) noexcept {
    const std::size_t count = cases_.size();
    const std::size_t start = count > 0 ? cases_[0].channel->turn_++ % count : 0;
    for (std::size_t step = 0; step < count; ++step) {
        const std::size_t index = start + step < count ? start + step : start + step - count;
        const SelectCase& one = cases_[index];
        const bool sends = one.kind == SelectCase::Kind::kSend;
        Node* peer = nullptr;
        const ChannelResult result = sends ? one.channel->send_locked(one.value, &peer)
                                           : one.channel->receive_locked(one.value, &peer);
        if (result == ChannelResult::kWouldWait) continue;
        unlock_all();
        if (sends) {
            one.channel->finish_send(one.value, peer);
        } else {
            ChannelCore::finish_receive(peer);
        }
        return {static_cast<int>(index), result == ChannelResult::kClosed};
    }
    if (!keep_locks) unlock_all();
    return {kSelectNone};
}

Selected SelectOperation::wait(const Context& context) {
    lock_all();
    const Selected now = do_one_and_unlock(/*keep_locks=*/true);
    if (now.index != kSelectNone) {
        rt::checkpoint();
        return now;
    }
    Waiter waiter;
    enqueue_all(waiter);
    unlock_all();
    const std::uint32_t outcome = waiter.wait(context, rt::WaitReason::kSelect);
    leave_all();
    Selected selected{kSelectCancelled};
    if (outcome != Waiter::kCancelled) {
        const std::size_t index = outcome - 1;
        SLUICE_ASSERT(index < cases_.size());
        selected = {static_cast<int>(index), !slots_[index].node.transferred};
    }
    for (std::size_t i = 0; i < cases_.size(); ++i) slots_[i].node.~Node();
    return selected;
}

void SelectOperation::enqueue_all(Waiter& waiter) noexcept {
    for (std::size_t i = 0; i < cases_.size(); ++i) {
        const auto outcome = static_cast<std::uint32_t>(i + 1);
        Node* const node = new (&slots_[i].node) Node(waiter, cases_[i].value, outcome);
        queue_of(cases_[i]).push_back(*node);
    }
}

void SelectOperation::leave_all() noexcept {
    for (std::size_t i = 0; i < cases_.size(); ++i) {
        SpinGuard guard(cases_[i].channel->lock_);
        queue_of(cases_[i]).remove_if_linked(slots_[i].node);
    }
}

Selected select(std::span<const SelectCase> cases, const Context& context) {
    SelectOperation operation(cases);
    return operation.wait(context);
}

Selected try_select(std::span<const SelectCase> cases) noexcept {
    SelectOperation operation(cases);
    return operation.try_now();
}

}  // namespace sluice::sync
