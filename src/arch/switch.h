// Context and switch_to(): the context switch with what ASan and TSan must be told about it.
//
// A Context is either a fiber's (prepared on a stack by prepare()) or a thread's own (adopted by
// adopt_thread()). switch_to(from, to, argument) suspends `from`, the running one, and goes on in
// `to`; a fiber's first switch calls its entry. enter() must be the entry's first act, and the last
// switch away from a context that ends passes ends = true. The entry function itself is declared
// SLUICE_UNINSTRUMENTED, since it never returns and would leave its frame in TSan's shadow stack.
//
// In a plain build a Context is one pointer and all this is the bare switch.
//
// ASan: each switch announces the stack that is entered, and hands over its fake stack, so that
// use-after-return works. TSan: each context is a TSan fiber, made at its first run (fibers that
// never run cost nothing) and kept for the next user of the stack, since making one costs 10 us
// and more. Valgrind is not supported.
#pragma once

#include <cstddef>

#include "arch/raw_context.h"

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define SLUICE_ASAN 1
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#else
#define SLUICE_ASAN 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define SLUICE_TSAN 1
#include <sanitizer/tsan_interface.h>
#else
#define SLUICE_TSAN 0
#endif

#define SLUICE_UNINSTRUMENTED __attribute__((disable_sanitizer_instrumentation))

namespace sluice::arch {

// Stacks must be larger under a sanitizer: its frames are.
inline constexpr std::size_t kStackFactor = SLUICE_ASAN || SLUICE_TSAN ? 2 : 1;

class Context {
  public:
    Context() = default;
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;

    // Makes this the context of a new fiber on the stack [lower, upper); upper is 16-byte aligned.
    void prepare(void* lower, void* upper, ContextEntry entry) noexcept {
        raw_ = make_context(upper, entry);
#if SLUICE_ASAN
        stack_lower_ = lower;
        stack_bytes_ =
            static_cast<std::size_t>(static_cast<char*>(upper) - static_cast<char*>(lower));
        fake_stack_ = nullptr;
#else
        (void)lower;
#endif
    }

    // Makes this the context of the calling thread. Once, before the first switch away from it.
    void adopt_thread() noexcept {
#if SLUICE_TSAN
        tsan_fiber_ = __tsan_get_current_fiber();
        owns_tsan_fiber_ = false;
#endif
#if SLUICE_ASAN
        pthread_attr_t attributes;
        void* lower = nullptr;
        if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
            pthread_attr_getstack(&attributes, &lower, &stack_bytes_);
            pthread_attr_destroy(&attributes);
        }
        stack_lower_ = lower;
#endif
    }

    // Where it will go on while it does not run (arch/saved_frame.h). May be read while another
    // thread switches; then it is stale.
    SLUICE_UNINSTRUMENTED RawContext raw() const noexcept { return raw_; }

    // Frees what a sanitizer keeps for the stack. The context must not run.
    void discard() noexcept {
#if SLUICE_TSAN
        if (owns_tsan_fiber_) __tsan_destroy_fiber(tsan_fiber_);
        tsan_fiber_ = nullptr;
        owns_tsan_fiber_ = false;
#endif
    }

  private:
    friend void* switch_to(Context& from, Context& to, void* argument, bool ends) noexcept;

    RawContext raw_ = nullptr;
#if SLUICE_ASAN
    const void* stack_lower_ = nullptr;
    std::size_t stack_bytes_ = 0;
    void* fake_stack_ = nullptr;
#endif
#if SLUICE_TSAN
    void* tsan_fiber_ = nullptr;
    bool owns_tsan_fiber_ = false;
#endif
};

// Inlined into its caller: between telling TSan and the jump there must be no function entry or
// exit.
[[gnu::always_inline]] inline void* switch_to(Context& from, Context& to, void* argument,
                                              bool ends = false) noexcept {
#if SLUICE_TSAN
    if (to.tsan_fiber_ == nullptr) {
        to.tsan_fiber_ = __tsan_create_fiber(0);
        to.owns_tsan_fiber_ = true;
    }
#endif
#if SLUICE_ASAN
    __sanitizer_start_switch_fiber(ends ? nullptr : &from.fake_stack_, to.stack_lower_,
                                   to.stack_bytes_);
#endif
    (void)ends;
    RawContext next = to.raw_;
#if SLUICE_TSAN
    __tsan_switch_to_fiber(to.tsan_fiber_, 0);
#endif
    void* const passed = switch_context(&from.raw_, next, argument);
#if SLUICE_ASAN
    __sanitizer_finish_switch_fiber(from.fake_stack_, nullptr, nullptr);
#endif
    return passed;
}

// The first act of a fiber's entry.
inline void enter() noexcept {
#if SLUICE_ASAN
    __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
}

// A stack is reused for another fiber: forget the poison that its last frames left.
inline void reuse_stack(void* lower, std::size_t bytes) noexcept {
#if SLUICE_ASAN
    __asan_unpoison_memory_region(lower, bytes);
#else
    (void)lower;
    (void)bytes;
#endif
}

}  // namespace sluice::arch
