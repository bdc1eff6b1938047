// Context: until when, and whether still, an operation is wanted. It carries a deadline and can be
// cancelled; a child ends with its parent. Whatever waits takes one and gives up when it ends.
//
//   sync::Context request(&connection_context, sync::deadline_after(5 * kSecond));
//   Status status = mutex.lock(request);        // kDeadlineExceeded after 5 s at the latest
//   request.cancel("stream reset by the peer"); // from any thread; all its waits end
//
// Rules.
//  - It lies where its operation lives, mostly on a fiber's stack; it is neither copied nor moved.
//    It must outlive its children, its callbacks and the waits that use it: the destructor asserts
//    it.
//  - `const Context&` lets you wait, `Context&` lets you cancel.
//  - An operation that need not wait does not look at its context; a loop calls ended() itself.
//  - It ends once, and stays ended: active -> cancelled, or active -> deadline exceeded.
//
//  - It carries values for those who are called under it (request id, tenant):
//  sync/context_value.h.
//
// In Go's terms: WithCancel and WithDeadline are the constructor, Err() is status(), Cause() is
// cause(), WithValue is ContextValue, AfterFunc is OnEnd.
//
// Cost: no allocation. A deadline is just a number until the first wait (or callback) under it arms
// a timer, which later waits share. Construction under a parent takes the parent's lock once.
//
// Locking: callbacks run under the lock of the context that ends, and children end under their
// parent's; so locks are always taken from parent to child, and a callback takes no lock that is
// held anywhere around a call on a context.
#pragma once

#include <atomic>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/spin_lock.h"
#include "rt/timer.h"

namespace sluice::sync {

class Context {
  public:
    // Something to run when a context ends. Intrusive; lies in its owner's object or stack frame.
    // It runs once, on the stack of whoever ends the context, be it a scheduler's: it must be
    // short, must not suspend, and must not call the context.
    class Callback {
      public:
        using Run = void (*)(Callback&) noexcept;
        explicit Callback(Run run) noexcept : run_(run) {}
        ~Callback();
        Callback(const Callback&) = delete;
        Callback& operator=(const Callback&) = delete;

      private:
        friend class Context;
        const Run run_;
        Callback* previous_ = nullptr;
        Callback* next_ = nullptr;
        bool linked_ = false;
    };

    // parent may be null. deadline_ns is on the runtime's clock (base/clock.h); the earlier one of
    // it and the parent's holds. With a deadline: on a fiber.
    explicit Context(const Context* parent, TimeNs deadline_ns = kNever);
    ~Context();
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;

    // The one that never ends: for work nobody can call off.
    static const Context& background() noexcept;

    // kNever if there is none.
    TimeNs deadline_ns() const noexcept { return deadline_ns_; }
    bool never_ends() const noexcept { return never_ends_; }

    // True once cancelled or past the deadline. Cost: a load, and 25 ns for the clock if there is a
    // deadline. Any fiber.
    bool ended() const;
    // OK while active; then kCancelled with the cause, or kDeadlineExceeded.
    Status status() const;

    // Why it has ended: OK while active; the error given to cancel(), of this context or of the
    // ancestor that ended first; else the same as status().
    Status cause() const;

    // Ends it and its children with kCancelled, unless it has ended. Any thread. Does not suspend.
    void cancel(std::string_view cause = "context canceled");
    // The same, and keeps the error's code for cause(). status() is kCancelled with its message.
    void cancel(const Error& cause);

    // Registers the callback; false if the context has ended, then nothing is registered. On a
    // fiber.
    [[nodiscard]] bool add(Callback& callback) const;
    // Afterwards the callback is not running and will not run. Whether it has run is its own
    // affair.
    void remove(Callback& callback) const;

  private:
    struct Background {};
    struct ParentLink final : Callback {
        explicit ParentLink(Context& owner) noexcept : Callback(&ParentLink::run), child(owner) {}
        static void run(Callback& callback) noexcept;
        Context& child;
    };
    struct DeadlineTimer final : rt::Timer {
        explicit DeadlineTimer(const Context& owner) noexcept : context(owner) {}
        const Context& context;
    };

    friend class ContextValueBase;
    struct HasValue {};

    explicit Context(Background) noexcept;
    Context(const Context* parent, HasValue);

    void end(Code code, Code cause_code, std::string_view cause) const;
    bool past_deadline() const;
    void link(Callback& callback) const SLUICE_REQUIRES(lock_);
    void unlink(Callback& callback) const SLUICE_REQUIRES(lock_);
    void arm_timer() const SLUICE_REQUIRES(lock_);

    const Context* const parent_;
    const TimeNs deadline_ns_;
    const bool never_ends_;
    bool has_value_ = false;  // it is a ContextValueBase; constant after construction
    mutable SpinLock lock_;
    mutable bool timer_used_ SLUICE_GUARDED_BY(lock_) = false;
    // kOk while active. Written once, under the lock, with release; pairs with the acquire of
    // readers, who then may read cause_code_ and cause_.
    mutable std::atomic<Code> code_{Code::kOk};
    mutable Code cause_code_ = Code::kOk;
    mutable std::string cause_;
    mutable Callback* callbacks_ SLUICE_GUARDED_BY(lock_) = nullptr;
    ParentLink parent_link_;
    mutable DeadlineTimer timer_;
};

// Requests carry several; values, causes and the like must not make those without them larger.
static_assert(sizeof(Context) <= 144);

// The deadline that lies timeout_ns ahead on the calling fiber's runtime's clock.
TimeNs deadline_after(TimeNs timeout_ns);

// Runs fn() when the context ends, or at once if it has. The destructor makes sure that it is not
// running and will not run. The rules of Context::Callback hold.
//
//   sync::OnEnd on_end(context, [&]() noexcept { connection.reset_stream(id); });
template <class F>
class OnEnd final : Context::Callback {
  public:
    OnEnd(const Context& context, F fn)
        : Callback(&OnEnd::run_fn), context_(context), fn_(std::move(fn)) {
        if (!context_.add(*this)) fn_();
    }
    ~OnEnd() { context_.remove(*this); }

  private:
    static void run_fn(Callback& callback) noexcept { static_cast<OnEnd&>(callback).fn_(); }

    const Context& context_;
    F fn_;
};

}  // namespace sluice::sync
