// Channel<T>: a bounded queue between fibers that can be waited on from both ends, and be closed.
//
// With capacity 0 a send waits for its receiver (a meeting); with capacity n up to n elements are
// stored. Elements leave in the order in which they were sent; waiters are served in order of
// arrival. After close() a send fails, and receives go on until the ring is empty. To wait for
// several channels at once, or with a default, see sync/select.h.
//
// send() and receive() are for fibers and may suspend; try_ forms and close() may be called on any
// thread or stack. T must be nothrow-movable and cheap to move: moves happen under a spin lock.
// The channel must outlive all calls. Elements left in it are destroyed with it.
// Cost: buffered without waiting about 20 ns; ping-pong between two fibers see docs/sync.md.
//
//   sync::Channel<Job> jobs(64);
//   if (!jobs.send(std::move(job))) ...                       // closed
//   while (std::optional<Job> job = jobs.receive()) run(*job); // until closed and empty
#pragma once

#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

#include "sync/channel_core.h"

namespace sluice::sync {

template <class T>
class Channel final : public ChannelCore {
    static_assert(std::is_nothrow_move_constructible_v<T> && std::is_nothrow_destructible_v<T>);

  public:
    explicit Channel(std::size_t capacity = 0)
        : ChannelCore(capacity), ring_(capacity > 0 ? new Cell[capacity] : nullptr) {}
    ~Channel() { drop_rest(); }

    // False if the channel is closed. `element` is moved from only on success.
    bool send(T&& element) {
        return ChannelCore::send(&element, Context::background()) == ChannelResult::kDone;
    }
    bool send(const T& element) { return send(T(element)); }
    // kCancelled, kDeadlineExceeded: from the context. kFailedPrecondition: closed.
    Status send(T&& element, const Context& context) {
        const ChannelResult result = ChannelCore::send(&element, context);
        if (result == ChannelResult::kDone) return {};
        if (result == ChannelResult::kCancelled) return context.status();
        return fail(Code::kFailedPrecondition, "channel closed");
    }

    // Nothing: closed and empty.
    std::optional<T> receive() {
        std::optional<T> target;
        ChannelCore::receive(&target, Context::background());
        return target;
    }
    // kCancelled, kDeadlineExceeded: from the context. kOutOfRange: closed and empty.
    Result<T> receive(const Context& context) {
        std::optional<T> target;
        const ChannelResult result = ChannelCore::receive(&target, context);
        if (result == ChannelResult::kDone) return std::move(*target);
        if (result == ChannelResult::kCancelled) return std::unexpected(context.status().error());
        return fail(Code::kOutOfRange, "channel closed");
    }

    // Without waiting: kDone, kWouldWait or kClosed. `element` is moved from only if kDone.
    ChannelResult try_send(T&& element) noexcept { return ChannelCore::try_send(&element); }
    ChannelResult try_receive(std::optional<T>& target) noexcept {
        return ChannelCore::try_receive(&target);
    }

  private:
    struct Cell {
        alignas(T) std::byte bytes[sizeof(T)];
        T* value() noexcept { return std::launder(reinterpret_cast<T*>(bytes)); }
    };

    std::size_t after(std::size_t index) const noexcept {
        return index + 1 == capacity() ? 0 : index + 1;
    }

    // All three run under lock_ (move() may also run on a claimed peer without it).
    void push(void* element) noexcept override {
        new (ring_[tail_].bytes) T(std::move(*static_cast<T*>(element)));
        tail_ = after(tail_);
    }
    void pop(void* target) noexcept override {
        T* const head = ring_[head_].value();
        static_cast<std::optional<T>*>(target)->emplace(std::move(*head));
        head->~T();
        head_ = after(head_);
    }
    void move(void* element, void* target) const noexcept override {
        static_cast<std::optional<T>*>(target)->emplace(std::move(*static_cast<T*>(element)));
    }

    void drop_rest() noexcept {
        SpinGuard guard(lock_);
        for (; count_ > 0; --count_) {
            ring_[head_].value()->~T();
            head_ = after(head_);
        }
    }

    const std::unique_ptr<Cell[]> ring_;
    std::size_t head_ = 0;
    std::size_t tail_ = 0;
};

}  // namespace sluice::sync
