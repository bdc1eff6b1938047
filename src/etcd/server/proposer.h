// Hands requests to the replicated log, and their outcome back to whoever asked.
//
// A request of a client is a CallProposal: it holds the call, so nobody waits on a stack meanwhile;
// the state machine finishes the call when the entry has been applied and is visible. A request of
// the server itself (an expired lease, an alarm) waits on its fiber: Proposer::run().
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "consensus/node.h"
#include "etcd/entry.h"
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

    PendingRequest(EntryKind kind, std::string body);

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
    explicit Proposer(ProposerOptions options) : options_(options) {}

    // The log, once it is open; until then every request is answered "server stopped".
    void attach(consensus::Node* node) noexcept { node_.store(node, std::memory_order_release); }

    // Takes the call over: it is finished when `body` has been applied, or with etcd's error for
    // why it was not taken. Never suspends.
    void submit(EntryKind kind, grpc::CallRef call, std::string body);

    // The same for the server itself: suspends until it is applied. The response is the encoded
    // message.
    Result<std::string> run(EntryKind kind, std::string body);

  private:
    Status propose(PendingRequest& request);

    const ProposerOptions options_;
    std::atomic<consensus::Node*> node_{nullptr};
};

}  // namespace sluice::etcd
