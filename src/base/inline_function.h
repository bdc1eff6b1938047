// InlineFunction<R(Args...), Bytes>: a move-only function object that holds its closure in place
// and never allocates. For queues of jobs. A closure that does not fit is a compile error.
//
//   InlineFunction<void(), 48> job([&table, id] { table.drop(id); });
//   job();
//
// Empty when default-constructed or moved from; calling an empty one is a programmer's error.
// Size: Bytes and one pointer. Cost of a call: one indirect jump; of a move: another.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "base/check.h"

namespace sluice {

template <class Signature, std::size_t Bytes>
class InlineFunction;

template <class R, class... Args, std::size_t Bytes>
class InlineFunction<R(Args...), Bytes> {
  public:
    InlineFunction() noexcept = default;

    template <class F>
        requires(!std::is_same_v<std::decay_t<F>, InlineFunction> &&
                 std::is_invocable_r_v<R, std::decay_t<F>&, Args...>)
    InlineFunction(F&& fn) {  // NOLINT(google-explicit-constructor): a lambda is one
        using Closure = std::decay_t<F>;
        static_assert(sizeof(Closure) <= Bytes, "put what it captures on the heap");
        static_assert(alignof(Closure) <= alignof(std::max_align_t));
        static_assert(std::is_nothrow_move_constructible_v<Closure>);
        new (closure_) Closure(std::forward<F>(fn));
        static constexpr Operations kOperations{
            [](void* closure, Args... args) -> R {
                return (*static_cast<Closure*>(closure))(std::forward<Args>(args)...);
            },
            [](void* to, void* from) noexcept {
                auto* const closure = static_cast<Closure*>(from);
                if (to != nullptr) new (to) Closure(std::move(*closure));
                std::destroy_at(closure);
            }};
        operations_ = &kOperations;
    }

    InlineFunction(InlineFunction&& other) noexcept { take(other); }
    InlineFunction& operator=(InlineFunction&& other) noexcept {
        if (this == &other) return *this;
        reset();
        take(other);
        return *this;
    }
    ~InlineFunction() { reset(); }

    explicit operator bool() const noexcept { return operations_ != nullptr; }

    R operator()(Args... args) {
        SLUICE_ASSERT(operations_ != nullptr);
        return operations_->call(closure_, std::forward<Args>(args)...);
    }

    // Destroys the closure now.
    void reset() noexcept {
        if (operations_ != nullptr)
            std::exchange(operations_, nullptr)->relocate(nullptr, closure_);
    }

  private:
    struct Operations {
        R (*call)(void* closure, Args... args);
        // Moves to `to`, if not null, and destroys at `from`.
        void (*relocate)(void* to, void* from) noexcept;
    };

    void take(InlineFunction& other) noexcept {
        operations_ = std::exchange(other.operations_, nullptr);
        if (operations_ != nullptr) operations_->relocate(closure_, other.closure_);
    }

    const Operations* operations_ = nullptr;
    alignas(std::max_align_t) std::byte closure_[Bytes];
};

}  // namespace sluice
