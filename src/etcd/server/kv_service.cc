// The KV service: Range, Put, DeleteRange, Txn, Compact.
#include <memory>

#include "etcd/checks.h"
#include "etcd/errors.h"
#include "etcd/server/quota.h"
#include "etcd/server/range_reader.h"
#include "etcd/server/services.h"
#include "etcd/wire_codec.h"
#include "proto/etcdserverpb/kv.pb.h"
#include "rt/blocking.h"

namespace sluice::etcd {
namespace {

class KvService {
  public:
    explicit KvService(ServiceParts& parts) : parts_(parts), reader_(parts) {}

    void range(grpc::CallRef call, std::string_view bytes) {
        reader_.range(std::move(call), bytes);
    }

    void put(grpc::CallRef call, std::string_view bytes) {
        PutView view;
        etcdserverpb::PutRequest request;
        if (!decode(bytes, view)) {
            if (!parse_request(call, bytes, request)) return;
            view = to_view(request);
        }
        Status checked = check(view);
        if (checked) checked = parts_.quota.admit(bytes.size());
        submit(EntryKind::kPut, std::move(call), bytes, checked);
    }

    void delete_range(grpc::CallRef call, std::string_view bytes) {
        DeleteRangeView view;
        etcdserverpb::DeleteRangeRequest request;
        if (!decode(bytes, view)) {
            if (!parse_request(call, bytes, request)) return;
            view = to_view(request);
        }
        submit(EntryKind::kDeleteRange, std::move(call), bytes, check(view));
    }

    void txn(grpc::CallRef call, std::string_view bytes) {
        etcdserverpb::TxnRequest request;
        if (!parse_request(call, bytes, request)) return;
        Status checked = check_txn(request, static_cast<int>(parts_.options.max_txn_ops));
        if (checked && is_read_only(request)) {
            return reader_.read_only_txn(std::move(call), std::move(request));
        }
        // Deletes must get through when the store is full: they are what makes room.
        if (checked && puts_something(request)) checked = parts_.quota.admit(bytes.size());
        submit(EntryKind::kTxn, std::move(call), bytes, checked);
    }

    void compact(grpc::CallRef call, std::string_view bytes) {
        etcdserverpb::CompactionRequest request;
        if (!parse_request(call, bytes, request)) return;
        if (!request.physical()) {
            return submit(EntryKind::kCompaction, std::move(call), bytes, {});
        }
        call->account.charge(Stage::kParse, parts_.ticks.now());
        parts_.proposer.submit(EntryKind::kCompaction, std::move(call), std::string(bytes),
                               [this](grpc::CallRef waiting, grpc::Message answer) {
                                   collect_garbage(std::move(waiting), std::move(answer));
                               });
    }

  private:
    // The compaction is applied; the client also wants the space back before it is told.
    void collect_garbage(grpc::CallRef call, grpc::Message answer) {
        call->run([this, call, answer = std::move(answer)]() mutable {
            const Status collected = rt::blocking([&] { return parts_.store.collect_garbage(); });
            if (!collected) return call->finish(collected.error());
            call->finish(std::move(answer));
        });
    }

    void submit(EntryKind kind, grpc::CallRef call, std::string_view bytes, const Status& checked) {
        call->account.charge(Stage::kParse, parts_.ticks.now());
        if (!checked) return call->finish(checked.error());
        parts_.proposer.submit(kind, std::move(call), std::string(bytes));
    }

    ServiceParts& parts_;
    RangeReader reader_;
};

}  // namespace

void add_kv_service(grpc::ServiceRegistry& registry, ServiceParts& parts) {
    auto service = std::make_shared<KvService>(parts);
    const auto add = [&](std::string_view path,
                         void (KvService::*method)(grpc::CallRef, std::string_view)) {
        registry.unary(path, [service, method](grpc::CallRef call, std::string_view bytes) {
            (service.get()->*method)(std::move(call), bytes);
        });
    };
    add("/etcdserverpb.KV/Range", &KvService::range);
    add("/etcdserverpb.KV/Put", &KvService::put);
    add("/etcdserverpb.KV/DeleteRange", &KvService::delete_range);
    add("/etcdserverpb.KV/Txn", &KvService::txn);
    add("/etcdserverpb.KV/Compact", &KvService::compact);
}

}  // namespace sluice::etcd
