#include "etcd/server/range_reader.h"

#include "etcd/checks.h"
#include "etcd/errors.h"
#include "etcd/range_encoder.h"
#include "etcd/server/convert.h"
#include "etcd/server/txn.h"
#include "etcd/server/txn_view.h"
#include "etcd/wire_codec.h"
#include "rt/blocking.h"

namespace sluice::etcd {
namespace {

using etcdserverpb::RangeRequest;
using storage::KvView;
using storage::ReadStep;
using storage::ReadTier;

// Answers a get of one key, straight from the store's memory into the message.
class GetSink final : public storage::KvSink {
  public:
    // `revision` is the header's, which MvccStore::get sets before it hands out the pair.
    GetSink(const RangeView& request, const Identity& identity, const storage::Revision& revision)
        : query_(to_query(request)), identity_(identity), revision_(revision) {}

    void on_kv(const KvView& kv) override {
        KvView shown = kv;
        if (query_.keys_only) shown.value = {};
        if (!query_.keeps_lease()) shown.lease = 0;
        append_range_response(identity_.head(revision_), query_.count_only ? nullptr : &shown,
                              /*count=*/1, message_.body());
    }
    grpc::Message take(bool found) {
        if (!found) {
            append_range_response(identity_.head(revision_), nullptr, /*count=*/0, message_.body());
        }
        return std::move(message_);
    }

  private:
    const storage::RangeQuery query_;
    const Identity& identity_;
    const storage::Revision& revision_;
    grpc::Message message_;
};

// Keeps the pairs of a range that is to be sorted, or answered as a message of protobuf's. They are
// counted in `share`.
class CollectSink final : public storage::KvSink {
  public:
    CollectSink(storage::RangeResult& result, MemoryBudget::Share& share)
        : result_(result), share_(share) {}
    void on_kv(const KvView& kv) override {
        result_.kvs.push_back(kv.copy());
        uncounted_ += kv.key.size() + kv.value.size() + sizeof(storage::KeyValue);
    }
    bool charge() noexcept { return share_.grow(std::exchange(uncounted_, 0)); }

  private:
    storage::RangeResult& result_;
    MemoryBudget::Share& share_;
    std::size_t uncounted_ = 0;
};

// One key, read by one lookup.
bool is_get(const RangeView& request) {
    return request.range_end.empty() && request.min_mod_revision == 0 &&
           request.max_mod_revision == 0 && request.min_create_revision == 0 &&
           request.max_create_revision == 0;
}

// Runs a cursor to its end: in memory as far as that goes, on the blocking pool where it must.
// kRequestTooManyRequests if the process holds too much of what such sinks gather.
template <class Sink>
Status drain(storage::RangeCursor& cursor, Sink& sink, const grpc::CallRef& call) {
    while (true) {
        Result<ReadStep> step = cursor.next(ReadTier::kMemory, {}, sink);
        if (step && *step == ReadStep::kWouldBlock) {
            step = rt::blocking([&] { return cursor.next(ReadTier::kAny, {}, sink); });
        }
        if (!step) return sluice::fail(step.error());
        if (!sink.charge()) return fail(errors::kRequestTooManyRequests);
        if (*step == ReadStep::kDone) return {};
        if (call->done()) return fail(errors::kCanceled);
        rt::checkpoint();
    }
}

// What a transaction that only reads sees: the store at the revision that was current when the view
// was made. On the call's fiber: long ranges go slice by slice, as those of a Range do.
class StoreView final : public TxnView {
  public:
    StoreView(const ServiceParts& parts, const grpc::CallRef& call)
        : store_(parts.store),
          call_(call),
          revision_(store_.current_revision()),
          share_(parts.range_bytes) {}
    storage::Revision revision() const override { return revision_; }
    storage::Revision compacted() const override { return store_.compacted_revision(); }
    // A compaction went past the revision: what was refused as compacted may be asked again.
    bool overtaken() const { return compacted() > revision_; }

  private:
    Status read(const storage::RangeQuery& query, storage::RangeResult& out) override {
        out = {};
        storage::RangeQuery at = query;
        if (at.revision == 0) at.revision = revision_;
        storage::RangeCursor cursor(store_, at);
        CollectSink sink(out, share_);
        SLUICE_TRY(drain(cursor, sink, call_));
        out.count = cursor.count();
        out.more = cursor.more();
        out.revision = revision_;
        finish_range(query, out);
        return {};
    }

    const storage::MvccStore& store_;
    const grpc::CallRef& call_;
    const storage::Revision revision_;
    MemoryBudget::Share share_;
};

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
    RangeView request;
    std::string plain;
    if (!decode(bytes, request)) {
        // Well formed, but of a shape that only protobuf reads: go on with what it makes of it.
        RangeRequest message;
        if (!parse_request(call, bytes, message)) return;
        message.DiscardUnknownFields();
        bytes = plain = message.SerializeAsString();
        request = {};
        SLUICE_CHECK(decode(bytes, request));
    }
    const Status checked = check(request);
    call->account.charge(Stage::kParse, parts_.ticks.now());
    if (!checked) return call->finish(checked.error());
    if (is_get(request) && try_get(call, request)) return;
    call->run([this, call, body = std::string(bytes)] {
        call->account.charge(Stage::kRunQueue, parts_.ticks.now());
        RangeView again;
        SLUICE_CHECK(decode(body, again));
        finish(call, read(call, again));
    });
}

// True if it has been answered: the key, or its absence, was found in memory.
bool RangeReader::try_get(const grpc::CallRef& call, const RangeView& request) {
    if (!request.serializable) {
        const Status ready = wait_linearizable(call);
        if (!ready) {
            call->finish(ready.error());
            return true;
        }
    }
    storage::Revision revision = 0;
    bool found = false;
    GetSink sink(request, parts_.identity, revision);
    const auto step =
        parts_.store.get(request.key, request.revision, ReadTier::kMemory, sink, &found, &revision);
    if (step && *step == ReadStep::kWouldBlock) return false;
    call->account.charge(Stage::kRead, parts_.ticks.now());
    if (step) {
        call->finish(sink.take(found));
    } else {
        call->finish(step.error());
    }
    return true;
}

Status RangeReader::wait_linearizable(const grpc::CallRef& call) {
    const Result<std::uint64_t> index = parts_.node.read_index(call->deadline_ns());
    if (!index) return sluice::fail(read_refusal(index.error()));
    const Status applied = parts_.node.wait_applied(*index, call->deadline_ns());
    if (!applied) return sluice::fail(read_refusal(applied.error()));
    return {};
}

Result<grpc::Message> RangeReader::read(const grpc::CallRef& call, const RangeView& request) {
    if (!request.serializable) SLUICE_TRY(wait_linearizable(call));
    const storage::RangeQuery query = to_query(request);
    storage::RangeCursor cursor(parts_.store, query);
    RangeEncoder encoder(parts_.range_bytes);
    bool more = false;
    if (query.needs_sort()) {
        storage::RangeResult all;
        MemoryBudget::Share share(parts_.range_bytes);
        CollectSink sink(all, share);
        SLUICE_TRY(drain(cursor, sink, call));
        all.more = cursor.more();
        finish_range(query, all);
        call->account.charge(Stage::kRead, parts_.ticks.now());
        for (const storage::KeyValue& kv : all.kvs) encoder.on_kv(KvView::of(kv));
        more = all.more;
    } else {
        SLUICE_TRY(drain(cursor, encoder, call));
        call->account.charge(Stage::kRead, parts_.ticks.now());
        more = cursor.more();
    }
    grpc::Message message = grpc::Message::with_tail({}, encoder.finish(more, cursor.count()));
    append_response_head(parts_.identity.head(cursor.store_revision()), message.body());
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
    Status done;
    OperationTally tally;
    bool again = true;
    while (again) {
        StoreView view(parts_, call);
        done = evaluate(view);
        tally = view.take_tally();
        // What asks for an older revision by itself is refused the second time, too.
        again = !done && errors::kCompacted.is(done.error()) && view.overtaken();
    }
    parts_.metrics.record(tally);
    call->account.charge(Stage::kRead, parts_.ticks.now());
    if (!done) return sluice::fail(done.error());
    parts_.identity.fill(response.mutable_header());
    grpc::Message message = grpc::Message::of(response);
    call->account.charge(Stage::kSerialise, parts_.ticks.now());
    return message;
}

}  // namespace sluice::etcd
