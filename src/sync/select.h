// select(): waits until one of several channel operations can be done, and does exactly that one.
//
//   std::optional<Job> job;
//   std::optional<Stop> stop;
//   const sync::Selected selected =
//       sync::select({sync::receive_case(jobs, job), sync::receive_case(stops, stop)}, context);
//   switch (selected.index) {
//       case 0: ...                         // selected.closed: jobs is closed and empty
//       case 1: ...
//       case sync::kSelectCancelled: ...    // context.status() says why; a timeout is a deadline
//   }
//
// try_select() does not wait: kSelectNone if nothing can be done now (Go's default case).
// If several can be done, where to begin rotates, so that none starves. The same channel may occur
// in several cases. An element of a send case is moved from only if that case was selected and its
// channel was not closed. At most limits::kSelectCasesMax cases.
//
// The algorithm is Go's (runtime/select.go): lock all channels in the order of their addresses; do
// what can be done; else queue at all of them as one Waiter, unlock, wait; the first party to claim
// the Waiter has chosen the case; then leave the other queues. Cost: see docs/sync.md.
#pragma once

#include <initializer_list>
#include <optional>
#include <span>

#include "sync/channel.h"

namespace sluice::sync {

inline constexpr int kSelectNone = -1;
inline constexpr int kSelectCancelled = -2;

struct SelectCase {
    enum class Kind : std::uint8_t { kSend, kReceive };
    ChannelCore* channel;
    void* value;
    Kind kind;
};

struct Selected {
    int index;            // of the case; or kSelectNone, kSelectCancelled
    bool closed = false;  // the case was chosen because its channel is closed
};

template <class T>
SelectCase send_case(Channel<T>& channel, T& element) noexcept {
    return {&channel, &element, SelectCase::Kind::kSend};
}
template <class T>
SelectCase receive_case(Channel<T>& channel, std::optional<T>& target) noexcept {
    return {&channel, &target, SelectCase::Kind::kReceive};
}

// On a fiber; suspends until a case is done or the context ends.
Selected select(std::span<const SelectCase> cases, const Context& context = Context::background());
// Any thread or stack.
Selected try_select(std::span<const SelectCase> cases) noexcept;

inline Selected select(std::initializer_list<SelectCase> cases,
                       const Context& context = Context::background()) {
    return select(std::span(cases.begin(), cases.size()), context);
}
inline Selected try_select(std::initializer_list<SelectCase> cases) noexcept {
    return try_select(std::span(cases.begin(), cases.size()));
}

}  // namespace sluice::sync
