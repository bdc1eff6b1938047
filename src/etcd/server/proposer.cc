#include "etcd/server/proposer.h"

#include <optional>

#include "etcd/errors.h"
#include "rt/park.h"

namespace sluice::etcd {
namespace {

class CallProposal : public PendingRequest {
  public:
    CallProposal(EntryKind kind, grpc::CallRef call, std::string body, RequestTimeouts& timeouts)
        : PendingRequest(kind, std::move(body)), timeouts_(timeouts) {
        timeouts_.add(pending_, std::move(call));
    }
    virtual ~CallProposal() = default;

    void complete(grpc::Message response, Ticks applied_at) override {
        if (grpc::CallRef call = take(applied_at)) applied(std::move(call), std::move(response));
        delete this;
    }
    void fail(const Error& error, Ticks applied_at) override {
        if (const grpc::CallRef call = take(applied_at)) call->finish(error);
        delete this;
    }

  protected:
    virtual void applied(grpc::CallRef call, grpc::Message response) {
        call->finish(std::move(response));
    }

  private:
    // Empty: the client has had its answer. An entry that was dropped before a stage has no stamp
    // for it.
    grpc::CallRef take(Ticks applied_at) {
        grpc::CallRef call = timeouts_.take(pending_);
        if (!call) return call;
        TimeAccount& account = call->account;
        const Stamps& at = stamps();
        if (at.write_started != 0) account.charge(Stage::kLogQueue, at.write_started);
        if (at.written != 0) account.charge(Stage::kLogWrite, at.written);
        if (at.synced != 0) account.charge(Stage::kFsync, at.synced);
        if (applied_at != 0) account.charge(Stage::kApply, applied_at);
        return call;
    }

    RequestTimeouts& timeouts_;
    RequestTimeouts::Pending pending_;
};

class ThenProposal final : public CallProposal {
  public:
    ThenProposal(EntryKind kind, grpc::CallRef call, std::string body, RequestTimeouts& timeouts,
                 Proposer::Then then)
        : CallProposal(kind, std::move(call), std::move(body), timeouts), then_(std::move(then)) {}

  private:
    void applied(grpc::CallRef call, grpc::Message response) override {
        then_(std::move(call), std::move(response));
    }

    const Proposer::Then then_;
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
    auto* request = new CallProposal(kind, std::move(call), std::move(body), timeouts_);
    const Status proposed = propose(*request);
    if (!proposed) request->fail(proposed.error(), 0);
}

void Proposer::submit(EntryKind kind, grpc::CallRef call, std::string body, Then then) {
    auto* request =
        new ThenProposal(kind, std::move(call), std::move(body), timeouts_, std::move(then));
    const Status proposed = propose(*request);
    if (!proposed) request->fail(proposed.error(), 0);
}

Result<std::string> Proposer::run(EntryKind kind, std::string body) {
    FiberProposal request(kind, std::move(body));
    SLUICE_TRY(propose(request));
    return request.wait();
}

}  // namespace sluice::etcd
