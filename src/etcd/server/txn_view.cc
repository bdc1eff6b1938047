#include "etcd/server/txn_view.h"

namespace sluice::etcd {

Status StoreView::read(const storage::RangeQuery& query, storage::RangeResult& out) {
    storage::RangeQuery pinned = query;
    if (pinned.revision == 0) pinned.revision = revision_;
    SLUICE_TRY_ASSIGN(const storage::ReadStep step, store_.range(pinned, tier_, out));
    if (step == storage::ReadStep::kWouldBlock) {
        would_block_ = true;
        return fail(Code::kInternal, "the read needs the disk");
    }
    out.revision = revision_;
    return {};
}

}  // namespace sluice::etcd
