#include "etcd/server/proposer.h"

#include <optional>

#include "etcd/errors.h"
#include "rt/park.h"

namespace sluice::etcd {
namespace {

class CallProposal final : public PendingRequest {
  public:
    CallProposal(EntryKind kind, grpc::CallRef call, std::string body)
        : PendingRequest(kind, std::move(body)), call_(std::move(call)) {}

    void complete(grpc::Message response, Ticks applied_at) override {
        charge(applied_at);
        call_->finish(std::move(response));
        delete this;
    }
    void fail(const Error& error, Ticks applied_at) override {
        charge(applied_at);
        call_->finish(error);
        delete this;
    }

  private:
    // An entry that was dropped before a stage has no stamp for it.
    void charge(Ticks applied_at) {
        TimeAccount& account = call_->account;
        const Stamps& at = stamps();
        if (at.write_started != 0) account.charge(Stage::kLogQueue, at.write_started);
        if (at.written != 0) account.charge(Stage::kLogWrite, at.written);
        if (at.synced != 0) account.charge(Stage::kFsync, at.synced);
        if (applied_at != 0) account.charge(Stage::kApply, applied_at);
    }

    grpc::CallRef call_;
};

// Lies on the stack of the fiber that waits.
class FiberProposal final : public PendingRequest {
  public:
    using PendingRequest::PendingRequest;

    void complete(grpc::Message response, Ticks) override {
        settle(std::string(response.body().substr(grpc::kMessagePrefixBytes)));
    }
    void fail(const Error& error, Ticks) override { settle(sluice::fail(error)); }

    Result<std::string> wait() {
        rt::park(rt::WaitReason::kProposal, [this](rt::Fiber* fiber) {
            SpinGuard guard(lock_);
            if (result_) return false;
            waiter_ = fiber;
            return true;
        });
        return std::move(*result_);
    }

  private:
    void settle(Result<std::string> result) {
        rt::Fiber* waiter = nullptr;
        {
            SpinGuard guard(lock_);
            result_.emplace(std::move(result));
            waiter = waiter_;
        }
        if (waiter) rt::ready(waiter);
    }

    SpinLock lock_;
    std::optional<Result<std::string>> result_;
    rt::Fiber* waiter_ = nullptr;
};

// What etcd says where the log says why not.
Error refusal(const Error& error) {
    switch (error.code()) {
        case Code::kResourceExhausted:
            return errors::kRequestTooManyRequests.error();
        case Code::kInvalidArgument:
            return errors::kRequestTooLarge.error();
        case Code::kUnavailable:
            return errors::kStopped.error();
        default:
            return errors::kTimeout.error();
    }
}

}  // namespace

PendingRequest::PendingRequest(EntryKind kind, std::string request)
    : kind_(kind), entry_head_(kind, request.size()), bytes_(std::move(request)) {
    head = entry_head_.bytes();
    body = bytes_;
}

void PendingRequest::on_dropped(const Error& why) {
    fail(refusal(why), 0);
}

Status Proposer::propose(PendingRequest& request) {
    if (request.bytes() > options_.request_bytes_max) return fail(errors::kRequestTooLarge);
    consensus::Node* const node = node_.load(std::memory_order_acquire);
    if (node == nullptr) return fail(errors::kStopped);
    const Status proposed = node->propose(&request);
    if (!proposed) return sluice::fail(refusal(proposed.error()));
    return {};
}

void Proposer::submit(EntryKind kind, grpc::CallRef call, std::string body) {
    auto* request = new CallProposal(kind, std::move(call), std::move(body));
    const Status proposed = propose(*request);
    if (!proposed) request->fail(proposed.error(), 0);
}

Result<std::string> Proposer::run(EntryKind kind, std::string body) {
    FiberProposal request(kind, std::move(body));
    SLUICE_TRY(propose(request));
    return request.wait();
}

}  // namespace sluice::etcd
