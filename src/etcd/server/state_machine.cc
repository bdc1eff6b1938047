#include "etcd/server/state_machine.h"

#include "base/limits.h"
#include "rt/blocking.h"

namespace sluice::etcd {

StateMachine::StateMachine(Parts parts)
    : parts_(std::move(parts)),
      batch_(parts_.store, [](const auto& body) { rt::blocking(body); }),
      applier_(batch_, parts_.lessor, parts_.alarms, parts_.identity, parts_.metrics) {}

void StateMachine::apply(std::span<const consensus::CommittedEntry> entries) {
    std::size_t uncommitted = 0;
    for (const consensus::CommittedEntry& entry : entries) {
        apply_one(entry);
        uncommitted += 1;
        if (batch_.pending_bytes() >= limits::kApplyBatchBytes) {
            commit(entry);
            uncommitted = 0;
        }
    }
    if (uncommitted > 0) commit(entries.back());
}

void StateMachine::apply_one(const consensus::CommittedEntry& entry) {
    parts_.identity.raft_term.store(entry.term, std::memory_order_relaxed);
    if (entry.type != consensus::EntryType::kNormal) return;
    auto* const request = static_cast<PendingRequest*>(entry.proposal);
    if (request == nullptr && entry.head.empty() && entry.body.empty()) return;  // a leader's first
    EntryView view{};
    if (request != nullptr) {
        view.kind = request->kind();
        view.request = entry.body;
    } else {
        auto read = read_entry(entry.head.empty() ? entry.body : entry.head);
        if (!read) stop_process(read.error());
        view = *read;
    }
    Result<grpc::Message> response = applier_.apply(view, events_);
    if (!response && is_engine_failure(response.error())) stop_process(response.error());
    lease_granted_ |= view.kind == EntryKind::kLeaseGrant && response.has_value();
    if (request != nullptr) answers_.push_back({request, std::move(response)});
}

void StateMachine::commit(const consensus::CommittedEntry& last) {
    const Status committed = batch_.commit(last.index, last.term);
    if (!committed) stop_process(committed.error());
    publish();
    reply();
}

void StateMachine::publish() {
    for (const storage::EventBatch& batch : events_) parts_.hub.publish(batch);
    events_.clear();
    if (const auto revision = applier_.take_compaction()) {
        parts_.hub.compacted(*revision);
        parts_.on_compacted();
    }
    if (std::exchange(lease_granted_, false)) parts_.on_lease_granted();
}

void StateMachine::reply() {
    if (answers_.empty()) return;
    const Ticks applied_at = parts_.ticks.now();
    for (Answer& answer : answers_) {
        if (answer.response) {
            answer.request->complete(std::move(*answer.response), applied_at);
        } else {
            answer.request->fail(answer.response.error(), applied_at);
        }
    }
    answers_.clear();
}

void StateMachine::snapshot_due(std::uint64_t) {
    const Status started = parts_.store.start_flush();
    if (!started) stop_process(started.error());
}

void StateMachine::log_failed(const Error& why) {
    stop_process(why.with_context("the log failed"));
}

void StateMachine::stop_process(const Error& why) {
    parts_.log.fatal("cannot go on: the state on disk is no longer certain",
                     {{"error", why.message()}});
}

}  // namespace sluice::etcd
