// Hands requests to the replicated log, and their outcome back to whoever asked.
//
// A request of a client is a CallProposal: it holds the call, so nobody waits on a stack meanwhile;
// the state machine finishes the call when the entry has been applied and is visible, or the call
// times out before (request_timeouts.h). A request of the server itself (an expired lease, an
// alarm) waits on its fiber, for as long as it takes: Proposer::run().
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "consensus/node.h"
#include "etcd/entry.h"
#include "etcd/server/request_timeouts.h"
#include "net/grpc/call.h"

namespace sluice::etcd {

// The state machine's view of a local proposal.
class PendingRequest : public consensus::Proposal {
  public:
    EntryKind kind() const noexcept { return kind_; }

    // Exactly one of the two is called; the object is gone afterwards. applied_at: when the group
    // that the entry was in had become visible; 0 if it was not applied.
    virtual void complete(grpc::Message response, Ticks applied_at) = 0;
    virtual void fail(const Error& error, Ticks applied_at) = 0;

    void on_dropped(const Error& why) final;

    PendingRequest(EntryKind kind, std::string request);

  protected:
    ~PendingRequest() = default;

  private:
    const EntryKind kind_;
    const EntryHead entry_head_;
    const std::string bytes_;
};

struct ProposerOptions {
    std::uint32_t request_bytes_max;  // --max-request-bytes
};

class Proposer {
  public:
    // `timeouts` outlives this object.
    Proposer(ProposerOptions options, RequestTimeouts& timeouts)
        : options_(options), timeouts_(timeouts) {}

    // The log, once it is open; until then every request is answered "server stopped".
    void attach(consensus::Node* node) noexcept { node_.store(node, std::memory_order_release); }

    // Takes the call over: it is finished when `body` has been applied, or with etcd's error for
    // why it was not taken. Never suspends.
    void submit(EntryKind kind, grpc::CallRef call, std::string body);

    // What else has to be done for the call once its entry is applied; must not suspend. It
    // finishes the call, with the response or otherwise.
    using Then = std::function<void(grpc::CallRef call, grpc::Message response)>;
    void submit(EntryKind kind, grpc::CallRef call, std::string body, Then then);

    // The same for the server itself: suspends until it is applied. The response is the encoded
    // message.
    Result<std::string> run(EntryKind kind, std::string body);

    const RequestTimeouts& timeouts() const noexcept { return timeouts_; }

  private:
    Status propose(PendingRequest& request);

    const ProposerOptions options_;
    RequestTimeouts& timeouts_;
    std::atomic<consensus::Node*> node_{nullptr};
};

}  // namespace sluice::etcd
