#include "etcd/server/txn.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "etcd/errors.h"
#include "storage/mvcc/model_testing.h"

namespace sluice::etcd {
namespace {

using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;

constexpr storage::LeaseId kLease = 7;

class TxnTest : public testing::Test {
  protected:
    void SetUp() override {
        auto opened = storage::MvccStore::open(
            {.dir = dir_.path(), .memory_limit_bytes = limits::kStoreMemoryMin});
        ASSERT_TRUE(opened) << opened.error().message();
        store_ = std::move(*opened);
        batch_ = std::make_unique<storage::Applier>(*store_);
    }

    static TxnRequest parse(const std::string& text) {
        TxnRequest request;
        EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request)) << text;
        return request;
    }

    // As the applier does it: branches, checks, then the writes.
    Result<TxnResponse> run(const std::string& text) {
        const TxnRequest request = parse(text);
        TxnResponse response;
        batch_->begin_txn();
        const Status done = [&]() -> Status {
            BatchView view(*batch_);
            SLUICE_TRY_ASSIGN(const TxnPath path, choose_branches(view, request));
            SLUICE_TRY(
                check_taken(view, request, path, [](storage::LeaseId id) { return id == kLease; }));
            return run_txn(view, *batch_, request, path, &response);
        }();
        const bool changed = batch_->end_txn(nullptr);
        EXPECT_TRUE(done || !changed) << "refused, but something was written";
        if (!done) return sluice::fail(done.error());
        EXPECT_TRUE(batch_->commit(++index_, 1));
        return response;
    }

    void expect_refused(const std::string& text, const KnownError& why) {
        const auto before = store_->current_revision();
        const auto response = run(text);
        ASSERT_FALSE(response) << text;
        EXPECT_TRUE(why.is(response.error())) << text << " " << response.error().message();
        EXPECT_EQ(store_->current_revision(), before);
    }

    std::string value_of(const std::string& key) {
        storage::RangeResult found;
        EXPECT_TRUE(store_->range({.key = key}, storage::ReadTier::kAny, found));
        return found.kvs.empty() ? "none" : found.kvs[0].value;
    }

    TemporaryDir dir_;
    std::unique_ptr<storage::MvccStore> store_;
    std::unique_ptr<storage::Applier> batch_;
    std::uint64_t index_ = 0;
};

TEST_F(TxnTest, OperationsSeeTheOnesBeforeThemAndShareOneRevision) {
    const auto response = run(R"(
        success { request_put { key: "a" value: "1" } }
        success { request_range { key: "a" } }
        success { request_delete_range { key: "a" range_end: "\0" prev_kv: true } }
        success { request_range { key: "a" } })");
    ASSERT_TRUE(response) << response.error().message();
    EXPECT_TRUE(response->succeeded());
    EXPECT_EQ(response->header().revision(), 2);
    ASSERT_EQ(response->responses_size(), 4);
    EXPECT_EQ(response->responses(1).response_range().kvs(0).value(), "1");
    EXPECT_EQ(response->responses(2).response_delete_range().deleted(), 1);
    EXPECT_EQ(response->responses(3).response_range().count(), 0);
    EXPECT_EQ(store_->current_revision(), 2);
}

TEST_F(TxnTest, NestedComparesReadTheStateBeforeTheTransaction) {
    const auto response = run(R"(
        success { request_put { key: "a" value: "1" } }
        success { request_txn {
            compare { key: "a" target: VERSION version: 0 }
            success { request_put { key: "b" value: "not yet" } }
            failure { request_put { key: "b" value: "already" } } } })");
    ASSERT_TRUE(response) << response.error().message();
    EXPECT_TRUE(response->responses(1).response_txn().succeeded());
    EXPECT_EQ(value_of("b"), "not yet");
}

TEST_F(TxnTest, TheFirstFaultInTheOrderOfOperationsIsTheAnswer) {
    const std::string future = "success { request_range { key: \"a\" revision: 99 } }";
    const std::string no_key = "success { request_put { key: \"a\" ignore_value: true } }";
    const std::string no_lease = "success { request_put { key: \"b\" lease: 8 } }";
    const std::string no_both =
        "success { request_put { key: \"c\" lease: 8 ignore_value: true } }";
    expect_refused(future + no_key + no_lease, errors::kFutureRev);
    expect_refused(no_key + future + no_lease, errors::kKeyNotFound);
    expect_refused(no_lease + no_key + future, errors::kLeaseNotFound);
    expect_refused(no_both, errors::kLeaseNotFound);
    // A nested transaction's operations stand where it stands.
    expect_refused("success { request_txn { " + no_key + " } }" + future, errors::kKeyNotFound);
    expect_refused(future + "success { request_txn { " + no_key + " } }", errors::kFutureRev);
}

TEST_F(TxnTest, OnlyTakenBranchesAreChecked) {
    const auto response = run(R"(
        compare { key: "a" target: VERSION result: GREATER version: 0 }
        success { request_put { key: "a" ignore_value: true } }
        failure { request_put { key: "a" value: "new" lease: 7 } })");
    ASSERT_TRUE(response) << response.error().message();
    EXPECT_FALSE(response->succeeded());
    EXPECT_EQ(value_of("a"), "new");
}

TEST_F(TxnTest, AFaultAfterWritesLeavesNothingBehind) {
    expect_refused(R"(
        success { request_put { key: "a" value: "1" } }
        success { request_range { key: "a" revision: 2 } })",
                   errors::kFutureRev);
    EXPECT_EQ(value_of("a"), "none");
}

// A delete to the end of the keys is the only one that check_txn() lets stand before such a put.
TEST_F(TxnTest, APutCannotKeepWhatItsOwnTransactionHasDeleted) {
    ASSERT_TRUE(run(R"(success { request_put { key: "b" value: "1" } })"));
    const std::string erase = R"(success { request_delete_range { key: "a" range_end: "\0" } })";
    const std::string keep = R"(success { request_put { key: "b" ignore_value: true } })";
    expect_refused(erase + keep, errors::kKeyNotFound);
    expect_refused(erase + "success { request_txn { " + keep + " } }", errors::kKeyNotFound);
    EXPECT_EQ(value_of("b"), "1");
    EXPECT_TRUE(run(R"(success { request_delete_range { key: "c" range_end: "\0" } })" + keep));
    EXPECT_TRUE(run(keep + erase));
    EXPECT_EQ(value_of("b"), "none");
}

TEST_F(TxnTest, CompactedReadsAreRefused) {
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(run(R"(success { request_put { key: "a" } })"));
    ASSERT_TRUE(batch_->compact(3));
    ASSERT_TRUE(batch_->commit(++index_, 1));
    expect_refused(R"(success { request_range { key: "a" revision: 2 } })", errors::kCompacted);
    EXPECT_TRUE(run(R"(success { request_range { key: "a" revision: 3 } })"));
}

TEST_F(TxnTest, AMissingKeyComparesAsZerosButHasNoValue) {
    const auto succeeds = [&](const std::string& compare) {
        const auto response = run("compare { " + compare + " }");
        return response && response->succeeded();
    };
    EXPECT_TRUE(succeeds(R"(key: "x" target: CREATE create_revision: 0)"));
    EXPECT_TRUE(succeeds(R"(key: "x" target: LEASE lease: 0)"));
    EXPECT_FALSE(succeeds(R"(key: "x" target: VALUE value: "")"));
    EXPECT_FALSE(succeeds(R"(key: "x" target: VALUE result: NOT_EQUAL value: "v")"));
    ASSERT_TRUE(run(R"(success { request_put { key: "x" value: "v" lease: 7 } })"));
    EXPECT_TRUE(succeeds(R"(key: "x" target: VALUE result: LESS value: "w")"));
    EXPECT_TRUE(succeeds(R"(key: "a" range_end: "z" target: LEASE lease: 7)"));
}

TEST_F(TxnTest, IgnoredValueAndLeaseStay) {
    ASSERT_TRUE(run(R"(success { request_put { key: "a" value: "1" lease: 7 } })"));
    const auto response = run(R"(
        success { request_put { key: "a" ignore_value: true ignore_lease: true prev_kv: true } }
        success { request_range { key: "a" } })");
    ASSERT_TRUE(response) << response.error().message();
    EXPECT_EQ(response->responses(0).response_put().prev_kv().version(), 1);
    const auto& now = response->responses(1).response_range().kvs(0);
    EXPECT_EQ(now.value(), "1");
    EXPECT_EQ(now.lease(), kLease);
    EXPECT_EQ(now.version(), 2);
}

}  // namespace
}  // namespace sluice::etcd
