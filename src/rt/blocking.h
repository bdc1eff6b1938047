// blocking(): runs a function that may block (disk metadata, DNS, a library's own lock) on a thread
// of the runtime's blocking pool, while the calling fiber is parked and its worker runs others.
//
//   const int fd = rt::blocking([&] { return ::open(path, O_RDONLY); });
//
// The function runs on an ordinary thread: rt::current() is null in it and it must not park, but it
// may call ready(). It may refer to the caller's stack. Its result is moved back; an exception it
// throws is rethrown in the caller. Cost: two thread hand-overs, 10-60 us when threads must be
// woken.
//
// The pool has at most Options::blocking_threads_max threads; more calls wait their turn, in order.
// With blocking_threads_max = 0 (simulation) the function runs on the worker itself.
#pragma once

#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "rt/blocking_pool.h"

namespace sluice::rt {

template <class F>
auto blocking(F&& fn) -> decltype(fn()) {
    using R = decltype(fn());
    std::exception_ptr thrown;
    if constexpr (std::is_void_v<R>) {
        auto body = [&]() noexcept {
            try {
                fn();
            } catch (...) {
                thrown = std::current_exception();
            }
        };
        run_blocking(body);
        if (thrown) std::rethrow_exception(std::move(thrown));
    } else {
        static_assert(!std::is_reference_v<R>, "return a pointer or a value");
        std::optional<R> result;
        auto body = [&]() noexcept {
            try {
                result.emplace(fn());
            } catch (...) {
                thrown = std::current_exception();
            }
        };
        run_blocking(body);
        if (thrown) std::rethrow_exception(std::move(thrown));
        return std::move(*result);
    }
}

}  // namespace sluice::rt
