// A counted reference to a Call (net/grpc/call.h).
#pragma once

#include <utility>

#include "base/check.h"

namespace sluice::grpc {

class Call;
void retain_call(Call& call) noexcept;
void release_call(Call& call) noexcept;

class CallRef {
  public:
    CallRef() noexcept = default;
    explicit CallRef(Call& call) noexcept : call_(&call) { retain_call(call); }
    CallRef(const CallRef& other) noexcept : call_(other.call_) {
        if (call_) retain_call(*call_);
    }
    CallRef(CallRef&& other) noexcept : call_(std::exchange(other.call_, nullptr)) {}
    CallRef& operator=(CallRef other) noexcept {
        std::swap(call_, other.call_);
        return *this;
    }
    ~CallRef() {
        if (call_) release_call(*call_);
    }

    Call& operator*() const noexcept {
        SLUICE_ASSERT(call_ != nullptr);
        return *call_;
    }
    Call* operator->() const noexcept {
        SLUICE_ASSERT(call_ != nullptr);
        return call_;
    }
    explicit operator bool() const noexcept { return call_ != nullptr; }

  private:
    Call* call_ = nullptr;
};

}  // namespace sluice::grpc
