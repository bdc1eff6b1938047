#include "sync/context.h"

#include <algorithm>

#include "base/check.h"
#include "rt/runtime.h"

namespace sluice::sync {

Context::Callback::~Callback() {
    SLUICE_CHECK(!linked_);
}

void Context::ParentLink::run(Callback& callback) noexcept {
    Context& child = static_cast<ParentLink&>(callback).child;
    const Context& parent = *child.parent_;
    child.end(parent.code_.load(std::memory_order_relaxed), parent.cause_code_, parent.cause_);
}

Context::Context(const Context* parent, TimeNs deadline_ns)
    : parent_(parent != nullptr && !parent->never_ends_ ? parent : nullptr),
      deadline_ns_(std::min(deadline_ns, parent_ != nullptr ? parent_->deadline_ns_ : kNever)),
      never_ends_(false),
      parent_link_(*this),
      timer_(*this) {
    if (parent_ == nullptr) return;
    // Not add(): a child has its own timer for the common deadline, if it needs one at all.
    SpinGuard guard(parent_->lock_);
    const Code code = parent_->code_.load(std::memory_order_relaxed);
    if (code == Code::kOk) {
        parent_->link(parent_link_);
    } else {
        end(code, parent_->cause_code_, parent_->cause_);
    }
}

Context::Context(const Context* parent, HasValue) : Context(parent) {
    has_value_ = true;
}

Context::Context(Background) noexcept
    : parent_(nullptr),
      deadline_ns_(kNever),
      never_ends_(true),
      parent_link_(*this),
      timer_(*this) {}

Context::~Context() {
    if (parent_ != nullptr) parent_->remove(parent_link_);
    if (!timer_.cancel()) timer_.wait_idle();
    // Whoever is still in end() holds the lock, and its unlock is its last access.
    SpinGuard guard(lock_);
    SLUICE_CHECK(callbacks_ == nullptr);
}

const Context& Context::background() noexcept {
    static const Context background{Background{}};
    return background;
}

bool Context::past_deadline() const {
    return deadline_ns_ != kNever && rt::Runtime::current().clock().now_ns() >= deadline_ns_;
}

bool Context::ended() const {
    if (code_.load(std::memory_order_acquire) != Code::kOk) return true;
    if (!past_deadline()) return false;
    end(Code::kDeadlineExceeded, Code::kDeadlineExceeded, "context deadline exceeded");
    return true;
}

Status Context::status() const {
    if (!ended()) return {};
    return fail(code_.load(std::memory_order_acquire), cause_);
}

Status Context::cause() const {
    if (!ended()) return {};
    return fail(cause_code_, cause_);
}

void Context::cancel(std::string_view cause) {
    SLUICE_CHECK(!never_ends_);
    end(Code::kCancelled, Code::kCancelled, cause);
}

void Context::cancel(const Error& cause) {
    SLUICE_CHECK(!never_ends_);
    SLUICE_CHECK(cause.code() != Code::kOk);
    end(Code::kCancelled, cause.code(), cause.message());
}

// The one place where the state changes.
void Context::end(Code code, Code cause_code, std::string_view cause) const {
    SLUICE_ASSERT(code == Code::kCancelled || code == Code::kDeadlineExceeded);
    std::string text(cause);
    SpinGuard guard(lock_);
    if (code_.load(std::memory_order_relaxed) != Code::kOk) return;
    cause_.swap(text);
    cause_code_ = cause_code;
    code_.store(code, std::memory_order_release);
    while (Callback* callback = callbacks_) {
        unlink(*callback);
        callback->run_(*callback);
    }
}

bool Context::add(Callback& callback) const {
    if (never_ends_) return true;
    if (ended()) return false;
    SpinGuard guard(lock_);
    if (code_.load(std::memory_order_relaxed) != Code::kOk) return false;
    link(callback);
    arm_timer();
    return true;
}

void Context::remove(Callback& callback) const {
    if (never_ends_) return;
    SpinGuard guard(lock_);
    if (callback.linked_) unlink(callback);
}

void Context::link(Callback& callback) const {
    SLUICE_ASSERT(!callback.linked_);
    callback.linked_ = true;
    callback.previous_ = nullptr;
    callback.next_ = callbacks_;
    if (callbacks_ != nullptr) callbacks_->previous_ = &callback;
    callbacks_ = &callback;
}

void Context::unlink(Callback& callback) const {
    SLUICE_ASSERT(callback.linked_);
    callback.linked_ = false;
    (callback.previous_ != nullptr ? callback.previous_->next_ : callbacks_) = callback.next_;
    if (callback.next_ != nullptr) callback.next_->previous_ = callback.previous_;
}

void Context::arm_timer() const {
    if (deadline_ns_ == kNever || timer_used_) return;
    timer_used_ = true;
    timer_.arm(deadline_ns_, [](rt::Timer& timer) {
        static_cast<DeadlineTimer&>(timer).context.end(
            Code::kDeadlineExceeded, Code::kDeadlineExceeded, "context deadline exceeded");
    });
}

TimeNs deadline_after(TimeNs timeout_ns) {
    const TimeNs now_ns = rt::Runtime::current().clock().now_ns();
    return timeout_ns >= kNever - now_ns ? kNever : now_ns + timeout_ns;
}

}  // namespace sluice::sync
