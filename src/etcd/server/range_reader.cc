#include "etcd/server/range_reader.h"

#include "etcd/checks.h"
#include "etcd/errors.h"
#include "etcd/server/convert.h"
#include "etcd/server/txn.h"
#include "etcd/server/txn_view.h"
#include "rt/blocking.h"

namespace sluice::etcd {
namespace {

using etcdserverpb::RangeRequest;
using etcdserverpb::RangeResponse;
using storage::KvView;
using storage::ReadStep;
using storage::ReadTier;

class ResponseSink final : public storage::KvSink {
  public:
    ResponseSink(RangeResponse& response, const storage::RangeQuery& query)
        : response_(response), with_value_(!query.keys_only), with_lease_(query.keeps_lease()) {}
    void on_kv(const KvView& kv) override {
        mvccpb::KeyValue* const out = response_.add_kvs();
        out->set_key(kv.key.data(), kv.key.size());
        if (with_value_) out->set_value(kv.value.data(), kv.value.size());
        out->set_create_revision(kv.create_revision);
        out->set_mod_revision(kv.mod_revision);
        out->set_version(kv.version);
        bytes_ += kv.key.size() + kv.value.size() + sizeof(mvccpb::KeyValue);
        if (with_lease_) out->set_lease(kv.lease);
    }

    std::size_t bytes() const noexcept { return bytes_; }

  private:
    RangeResponse& response_;
    const bool with_value_;
    const bool with_lease_;
    std::size_t bytes_ = 0;
};

class CollectSink final : public storage::KvSink {
  public:
    explicit CollectSink(storage::RangeResult& result) : result_(result) {}
    void on_kv(const KvView& kv) override {
        result_.kvs.push_back(kv.copy());
        bytes_ += kv.key.size() + kv.value.size() + sizeof(storage::KeyValue);
    }
    std::size_t bytes() const noexcept { return bytes_; }

  private:
    storage::RangeResult& result_;
    std::size_t bytes_ = 0;
};

bool is_plain_get(const RangeRequest& request) {
    return request.range_end().empty() && request.limit() == 0 && !request.count_only() &&
           request.min_mod_revision() == 0 && request.max_mod_revision() == 0 &&
           request.min_create_revision() == 0 && request.max_create_revision() == 0;
}

// Runs a cursor to its end: in memory as far as that goes, on the blocking pool where it must. What
// the sink collects is counted in `share`: kRequestTooManyRequests if there is too much of it in
// the process.
template <class Sink>
Status drain(storage::RangeCursor& cursor, Sink& sink, const grpc::CallRef& call,
             MemoryBudget::Share& share) {
    while (true) {
        const std::size_t before = sink.bytes();
        Result<ReadStep> step = cursor.next(ReadTier::kMemory, {}, sink);
        if (step && *step == ReadStep::kWouldBlock) {
            step = rt::blocking([&] { return cursor.next(ReadTier::kAny, {}, sink); });
        }
        if (!step) return sluice::fail(step.error());
        if (!share.grow(sink.bytes() - before)) return fail(errors::kRequestTooManyRequests);
        if (*step == ReadStep::kDone) return {};
        if (call->done()) return fail(errors::kCanceled);
        rt::checkpoint();
    }
}

// What the log says while a read waits, in etcd's words.
Error read_refusal(const Error& error) {
    switch (error.code()) {
        case Code::kDeadlineExceeded:
            return errors::kDeadlineExceeded.error();
        default:
            return errors::kStopped.error();
    }
}

void finish(const grpc::CallRef& call, Result<grpc::Message> answer) {
    if (answer) {
        call->finish(std::move(*answer));
    } else {
        call->finish(answer.error());
    }
}

}  // namespace

void RangeReader::range(grpc::CallRef call, std::string_view bytes) {
    RangeRequest request;
    if (!parse_request(call, bytes, request)) return;
    const Status checked = check_range(request);
    call->account.charge(Stage::kParse, parts_.ticks.now());
    if (!checked) return call->finish(checked.error());
    if (is_plain_get(request) && try_get(call, request)) return;
    call->run([this, call, request = std::move(request)] {
        call->account.charge(Stage::kRunQueue, parts_.ticks.now());
        finish(call, read(call, request));
    });
}

// True if it has been answered: the key, or its absence, was found in memory.
bool RangeReader::try_get(const grpc::CallRef& call, const RangeRequest& request) {
    if (!request.serializable()) {
        const Status ready = wait_linearizable(call);
        if (!ready) {
            call->finish(ready.error());
            return true;
        }
    }
    RangeResponse response;
    ResponseSink sink(response, to_query(request));
    storage::Revision revision = 0;
    bool found = false;
    const auto step = parts_.store.get(request.key(), request.revision(), ReadTier::kMemory, sink,
                                       &found, &revision);
    if (step && *step == ReadStep::kWouldBlock) return false;
    call->account.charge(Stage::kRead, parts_.ticks.now());
    if (!step) {
        call->finish(step.error());
        return true;
    }
    parts_.identity.fill(response.mutable_header(), revision);
    response.set_count(found ? 1 : 0);
    grpc::Message message = grpc::Message::of(response);
    call->account.charge(Stage::kSerialise, parts_.ticks.now());
    call->finish(std::move(message));
    return true;
}

Status RangeReader::wait_linearizable(const grpc::CallRef& call) {
    const Result<std::uint64_t> index = parts_.node.read_index(call->deadline_ns());
    if (!index) return sluice::fail(read_refusal(index.error()));
    const Status applied = parts_.node.wait_applied(*index, call->deadline_ns());
    if (!applied) return sluice::fail(read_refusal(applied.error()));
    return {};
}

Result<grpc::Message> RangeReader::read(const grpc::CallRef& call, const RangeRequest& request) {
    if (!request.serializable()) SLUICE_TRY(wait_linearizable(call));
    const storage::RangeQuery query = to_query(request);
    storage::RangeCursor cursor(parts_.store, query);
    RangeResponse response;
    MemoryBudget::Share share(parts_.range_bytes);
    if (query.needs_sort()) {
        storage::RangeResult all;
        CollectSink sink(all);
        SLUICE_TRY(drain(cursor, sink, call, share));
        all.count = cursor.count();
        all.more = cursor.more();
        finish_range(query, all);
        to_proto(std::move(all), &response);
    } else {
        ResponseSink sink(response, query);
        SLUICE_TRY(drain(cursor, sink, call, share));
        response.set_count(cursor.count());
        response.set_more(cursor.more());
    }
    call->account.charge(Stage::kRead, parts_.ticks.now());
    parts_.identity.fill(response.mutable_header(), cursor.store_revision());
    grpc::Message message = grpc::Message::of_long(response, parts_.range_bytes);
    call->account.charge(Stage::kSerialise, parts_.ticks.now());
    return message;
}

void RangeReader::read_only_txn(grpc::CallRef call, etcdserverpb::TxnRequest request) {
    call->run([this, call, request = std::move(request)] {
        call->account.charge(Stage::kRunQueue, parts_.ticks.now());
        finish(call, read_txn(call, request));
    });
}

Result<grpc::Message> RangeReader::read_txn(const grpc::CallRef& call,
                                            const etcdserverpb::TxnRequest& request) {
    if (!is_serializable(request)) SLUICE_TRY(wait_linearizable(call));
    etcdserverpb::TxnResponse response;
    const auto evaluate = [&](StoreView& view) -> Status {
        response.Clear();
        SLUICE_TRY_ASSIGN(const TxnPath path, choose_branches(view, request));
        SLUICE_TRY(check_taken(view, request, path, [](storage::LeaseId) { return true; }));
        return run_read_only(view, request, path, &response);
    };
    StoreView memory(parts_.store, ReadTier::kMemory);
    Status done = evaluate(memory);
    if (!done && memory.would_block()) {
        done = rt::blocking([&] {
            StoreView any(parts_.store, ReadTier::kAny);
            return evaluate(any);
        });
    }
    call->account.charge(Stage::kRead, parts_.ticks.now());
    if (!done) return sluice::fail(done.error());
    parts_.identity.fill(response.mutable_header());
    grpc::Message message = grpc::Message::of(response);
    call->account.charge(Stage::kSerialise, parts_.ticks.now());
    return message;
}

}  // namespace sluice::etcd
