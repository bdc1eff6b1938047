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

// Shared by the stream and by the fiber that waits for a revocation, which may outlive it.
class Renewer : public std::enable_shared_from_this<Renewer> {
  public:
    Renewer(ServiceParts& parts, grpc::CallRef call) : parts_(parts), call_(std::move(call)) {}

    void take(LeaseId id);
    void no_more();
    void drop();

  private:
    bool renew(LeaseId id, LeaseKeepAliveResponse& response);
    void revoke(LeaseKeepAliveResponse response);
    bool settle_waiting(LeaseKeepAliveResponse& next);
    std::optional<LeaseId> next_waiting();
    void fail(const Error& why);

    ServiceParts& parts_;
    const grpc::CallRef call_;

    SpinLock lock_;
    bool revoking_ SLUICE_GUARDED_BY(lock_) = false;  // a fiber is at work; messages wait
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
        if (revoking_ && !too_many) return waiting_.push_back(id);
    }
    if (too_many) return fail(errors::kRequestTooManyRequests.error());
    LeaseKeepAliveResponse response;
    if (renew(id, response)) return;
    {
        SpinGuard guard(lock_);
        SLUICE_CHECK(!revoking_);
        revoking_ = true;
    }
    call_->run([self = shared_from_this(), response = std::move(response)]() mutable {
        self->revoke(std::move(response));
    });
}

void Renewer::no_more() {
    {
        SpinGuard guard(lock_);
        half_closed_ = true;
        if (revoking_ || over_) return;
        over_ = true;
    }
    call_->finish_ok();
}

void Renewer::drop() {
    SpinGuard guard(lock_);
    over_ = true;
    waiting_.clear();
}

// False: the lease is over and its revocation must be waited for before `response` may be sent.
bool Renewer::renew(LeaseId id, LeaseKeepAliveResponse& response) {
    // The revision of a moment before the renewal, as in etcd.
    parts_.identity.fill(response.mutable_header(), parts_.store.current_revision());
    response.set_id(id);
    const Renewal renewal = parts_.lessor.renew(id);
    switch (renewal.outcome) {
        case Renewal::Outcome::kRenewed:
        case Renewal::Outcome::kNotFound:
            response.set_ttl(renewal.ttl_s);
            call_->send(grpc::Message::of(response));
            return true;
        case Renewal::Outcome::kNotPrimary:
            fail(errors::kNotLeader.error());
            return true;
        case Renewal::Outcome::kExpiring:
            break;
    }
    return false;
}

// On a fiber. An expired lease can only end, so it does no harm that the server's own expiry
// proposes the same; the second one to be applied finds nothing.
void Renewer::revoke(LeaseKeepAliveResponse response) {
    do {
        internal::LeaseExpire expired;
        expired.add_ids(response.id());
        const auto applied =
            parts_.proposer.run(EntryKind::kLeaseExpire, expired.SerializeAsString());
        if (!applied) return fail(applied.error());
        if (call_->done()) return;
        call_->send(grpc::Message::of(response));
    } while (!settle_waiting(response));
}

// Answers what waits; false: `next` is another lease whose revocation must be waited for.
bool Renewer::settle_waiting(LeaseKeepAliveResponse& next) {
    while (const auto id = next_waiting()) {
        next.Clear();
        if (!renew(*id, next)) return false;
    }
    return true;
}

std::optional<LeaseId> Renewer::next_waiting() {
    bool finished = false;
    {
        SpinGuard guard(lock_);
        SLUICE_CHECK(revoking_);
        if (!over_ && !waiting_.empty()) {
            const LeaseId id = waiting_.front();
            waiting_.pop_front();
            return id;
        }
        revoking_ = false;
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
        : call_(call), renewer_(std::make_shared<Renewer>(parts, std::move(call))) {}

    void on_message(std::string_view bytes) override {
        etcdserverpb::LeaseKeepAliveRequest request;
        if (parse_request(call_, bytes, request)) {
            renewer_->take(request.id());
        } else {
            renewer_->drop();
        }
    }
    void on_half_close() override { renewer_->no_more(); }
    void on_cancel() override { renewer_->drop(); }

  private:
    grpc::CallRef call_;
    const std::shared_ptr<Renewer> renewer_;
};

}  // namespace

std::unique_ptr<grpc::ServerStream> make_keep_alive_stream(ServiceParts& parts,
                                                           grpc::CallRef call) {
    return std::make_unique<KeepAliveStream>(parts, std::move(call));
}

}  // namespace sluice::etcd
