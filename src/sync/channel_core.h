// ChannelCore: a channel without the type of its elements; what Channel<T> and select() share.
//
// The algorithm is Go's (runtime/chan.go): a lock, a ring of `capacity` elements, a queue of
// waiting receivers and one of waiting senders. Between two calls these hold, under the lock:
//   - receivers wait only while the ring is empty, senders only while it is full;
//   - so, but for waiters already claimed elsewhere, at most one of the two queues is not empty;
//   - nobody waits at a closed channel, and no sender's element is in doubt: it has been taken as
//     a whole or is still the sender's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.h"
#include "base/spin_lock.h"
#include "sync/context.h"
#include "sync/wait_list.h"

namespace sluice::sync {

enum class ChannelResult : std::uint8_t { kDone, kClosed, kWouldWait, kCancelled };

class ChannelCore {
  public:
    ChannelCore(const ChannelCore&) = delete;
    ChannelCore& operator=(const ChannelCore&) = delete;

    // No more elements may be sent; those in the ring can still be received. Closing twice is
    // allowed. Wakes all who wait. Any thread or stack.
    void close() noexcept;
    bool closed() const noexcept;
    std::size_t capacity() const noexcept { return capacity_; }
    // Elements in the ring; for statistics.
    std::size_t size() const noexcept;

  protected:
    explicit ChannelCore(std::size_t capacity) noexcept : capacity_(capacity) {}
    ~ChannelCore() = default;

    // `element` is a T*, `target` a std::optional<T>*. All move, none throws or suspends.
    virtual void push(void* element) noexcept = 0;                      // to the ring's tail
    virtual void pop(void* target) noexcept = 0;                        // from the ring's head
    virtual void move(void* element, void* target) const noexcept = 0;  // past the ring

    ChannelResult send(void* element, const Context& context);
    ChannelResult receive(void* target, const Context& context);
    ChannelResult try_send(void* element) noexcept;
    ChannelResult try_receive(void* target) noexcept;

    // The ring's number of elements; kept here, changed with push() and pop().
    std::size_t count_ SLUICE_GUARDED_BY(lock_) = 0;
    mutable SpinLock lock_;

  private:
    friend class SelectOperation;

    // One side of a transfer that waits.
    struct Node final : WaitNode {
        Node(Waiter& owner, void* element_or_target, std::uint32_t result = 1) noexcept
            : WaitNode(owner, result), value(element_or_target) {}
        void* const value;
        bool transferred = false;  // false after the wait: the channel was closed
    };

    // Does it now if it can be done now. kDone: *peer, if not null, has been claimed; the caller
    // calls finish_*() without the lock.
    ChannelResult send_locked(void* element, Node** peer) noexcept SLUICE_REQUIRES(lock_);
    ChannelResult receive_locked(void* target, Node** peer) noexcept SLUICE_REQUIRES(lock_);
    void finish_send(void* element, Node* receiver) noexcept;
    static void finish_receive(Node* sender) noexcept;

    const std::size_t capacity_;
    bool closed_ SLUICE_GUARDED_BY(lock_) = false;
    std::uint32_t turn_ SLUICE_GUARDED_BY(lock_) = 0;  // where select() starts to look
    WaitList receivers_ SLUICE_GUARDED_BY(lock_);
    WaitList senders_ SLUICE_GUARDED_BY(lock_);
};

}  // namespace sluice::sync
