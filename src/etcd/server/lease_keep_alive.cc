#include "etcd/server/lease_keep_alive.h"

#include <deque>
#include <optional>

#include "base/check.h"
#include "base/limits.h"
#include "base/spin_lock.h"
#include "etcd/errors.h"
#include "proto/etcdserverpb/lease.pb.h"
#include "proto/sluice/internal.pb.h"

namespace sluice::etcd {
namespace {

using etcdserverpb::LeaseKeepAliveResponse;

// The answer for a lease that is over, to be sent when its end is visible to every reader.
struct LastAnswer {
    LeaseKeepAliveResponse response;
    bool expiring = false;  // its revocation is still to be proposed
};

// Shared by the stream and by the fiber that waits for a revocation, which may outlive it.
class Renewer : public std::enable_shared_from_this<Renewer> {
  public:
    Renewer(ServiceParts& parts, grpc::CallRef call) : parts_(parts), call_(std::move(call)) {}

    void take(LeaseId id);
    void no_more();
    void drop();
    // Only whoever turns over_ on finishes the call: the stream's turn and the fiber may both want
    // to.
    void fail(const Error& why);

  private:
    bool renew(LeaseId id, LastAnswer& answer);
    Status wait_for_end(const LastAnswer& answer);
    void send_when_over(LastAnswer answer);
    bool settle_waiting(LastAnswer& next);
    std::optional<LeaseId> next_waiting();

    ServiceParts& parts_;
    const grpc::CallRef call_;

    SpinLock lock_;
    bool ending_ SLUICE_GUARDED_BY(lock_) = false;  // a fiber waits for a lease's end
    bool half_closed_ SLUICE_GUARDED_BY(lock_) = false;
    bool over_ SLUICE_GUARDED_BY(lock_) = false;  // finished or cancelled
    std::deque<LeaseId> waiting_ SLUICE_GUARDED_BY(lock_);
};

void Renewer::take(LeaseId id) {
    bool too_many = false;
    {
        SpinGuard guard(lock_);
        if (over_) return;
        too_many = waiting_.size() >= limits::kLeaseRenewalsWaiting;
        if (ending_ && !too_many) return waiting_.push_back(id);
    }
    if (too_many) return fail(errors::kRequestTooManyRequests.error());
    LastAnswer answer;
    if (renew(id, answer)) return;
    {
        SpinGuard guard(lock_);
        SLUICE_CHECK(!ending_);
        ending_ = true;
    }
    call_->run([self = shared_from_this(), answer = std::move(answer)]() mutable {
        self->send_when_over(std::move(answer));
    });
}

void Renewer::no_more() {
    {
        SpinGuard guard(lock_);
        half_closed_ = true;
        if (ending_ || over_) return;
        over_ = true;
    }
    call_->finish_ok();
}

void Renewer::drop() {
    SpinGuard guard(lock_);
    over_ = true;
    waiting_.clear();
}

// False: the lease is over, which must be waited for before `answer` may be sent.
bool Renewer::renew(LeaseId id, LastAnswer& answer) {
    LeaseKeepAliveResponse& response = answer.response;
    // The revision of a moment before the renewal, as in etcd.
    parts_.identity.fill(response.mutable_header(), parts_.store.current_revision());
    response.set_id(id);
    const Renewal renewal = parts_.lessor.renew(id);
    switch (renewal.outcome) {
        case Renewal::Outcome::kNotPrimary:
            fail(errors::kNotLeader.error());
            return true;
        case Renewal::Outcome::kExpiring:
            answer.expiring = true;
            return false;
        case Renewal::Outcome::kNotFound:
            // The lessor forgets a lease before the store's batch with that revocation is visible.
            if (parts_.node.applied_index() < parts_.node.view().last_index) return false;
            break;
        case Renewal::Outcome::kRenewed:
            parts_.metrics.lease_renewed.add();
            break;
    }
    response.set_ttl(renewal.ttl_s);
    call_->send(grpc::Message::of(response));
    return true;
}

// An expired lease can only end, so it does no harm that the server's own expiry proposes the same;
// the second one to be applied finds nothing.
Status Renewer::wait_for_end(const LastAnswer& answer) {
    if (!answer.expiring) return parts_.node.wait_applied(parts_.node.view().last_index, kNever);
    internal::LeaseExpire expired;
    expired.add_ids(answer.response.id());
    const auto applied = parts_.proposer.run(EntryKind::kLeaseExpire, expired.SerializeAsString());
    if (!applied) return sluice::fail(applied.error());
    return {};
}

// On a fiber.
void Renewer::send_when_over(LastAnswer answer) {
    do {
        const Status over = wait_for_end(answer);
        if (!over) return fail(errors::kStopped.error());
        if (call_->done()) return;
        call_->send(grpc::Message::of(answer.response));
    } while (!settle_waiting(answer));
}

// Answers what waits; false: `next` is another one whose end must be waited for.
bool Renewer::settle_waiting(LastAnswer& next) {
    while (const auto id = next_waiting()) {
        next = {};
        if (!renew(*id, next)) return false;
    }
    return true;
}

std::optional<LeaseId> Renewer::next_waiting() {
    bool finished = false;
    {
        SpinGuard guard(lock_);
        SLUICE_CHECK(ending_);
        if (!over_ && !waiting_.empty()) {
            const LeaseId id = waiting_.front();
            waiting_.pop_front();
            return id;
        }
        ending_ = false;
        finished = half_closed_ && !over_;
        over_ |= finished;
    }
    if (finished) call_->finish_ok();
    return std::nullopt;
}

void Renewer::fail(const Error& why) {
    {
        SpinGuard guard(lock_);
        if (std::exchange(over_, true)) return;
        waiting_.clear();
    }
    call_->finish(why);
}

class KeepAliveStream final : public grpc::ServerStream {
  public:
    KeepAliveStream(ServiceParts& parts, grpc::CallRef call)
        : renewer_(std::make_shared<Renewer>(parts, std::move(call))) {}

    void on_message(std::string_view bytes) override {
        etcdserverpb::LeaseKeepAliveRequest request;
        if (request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
            renewer_->take(request.id());
        } else {
            renewer_->fail(malformed_request());
        }
    }
    void on_half_close() override { renewer_->no_more(); }
    void on_cancel() override { renewer_->drop(); }

  private:
    const std::shared_ptr<Renewer> renewer_;
};

}  // namespace

std::unique_ptr<grpc::ServerStream> make_keep_alive_stream(ServiceParts& parts,
                                                           grpc::CallRef call) {
    return std::make_unique<KeepAliveStream>(parts, std::move(call));
}

}  // namespace sluice::etcd
