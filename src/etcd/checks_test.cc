#include "etcd/checks.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>
#include <vector>

#include "etcd/branch_conflicts.h"
#include "etcd/errors.h"

namespace sluice::etcd {
namespace {

namespace pb = ::etcdserverpb;

template <class Message>
Message parse(const std::string& text) {
    Message message;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
    return message;
}

std::string text_of(const Status& status) {
    return status ? "ok" : status.error().message();
}

std::string range(const std::string& text) {
    return text_of(check(to_view(parse<pb::RangeRequest>(text))));
}
std::string put(const std::string& text) {
    return text_of(check(to_view(parse<pb::PutRequest>(text))));
}
std::string txn(const std::string& text, int max_ops = 128) {
    return text_of(check_txn(parse<pb::TxnRequest>(text), max_ops));
}

// Operations of a transaction's branch, in text form.
std::string put_op(const std::string& key) {
    return "success { request_put { key: '" + key + "' } } ";
}
std::string delete_op(const std::string& key, const std::string& end = "") {
    return "success { request_delete_range { key: '" + key + "' range_end: '" + end + "' } } ";
}
std::string nested(const std::string& inner) {
    return "success { request_txn { " + inner + " } } ";
}

TEST(Checks, RangeNeedsKeyAndKnownSort) {
    EXPECT_EQ(range("key: 'a'"), "ok");
    EXPECT_EQ(range(""), errors::kEmptyKey.text);
    EXPECT_EQ(range("key: 'a' sort_order: DESCEND sort_target: VALUE"), "ok");
    EXPECT_EQ(range("key: 'a' sort_order: 3"), errors::kInvalidSortOption.text);
    EXPECT_EQ(range("key: 'a' sort_target: 5"), errors::kInvalidSortOption.text);
    EXPECT_EQ(range("key: 'a' sort_target: -1"), errors::kInvalidSortOption.text);
    EXPECT_EQ(range("sort_order: 3"), errors::kEmptyKey.text);
}

TEST(Checks, RangeStreamRefusesSortsAndFilters) {
    const auto stream = [](const std::string& text) {
        return text_of(check_range_stream(parse<pb::RangeRequest>(text)));
    };
    EXPECT_EQ(stream("key: 'a' sort_order: ASCEND"), "ok");
    EXPECT_EQ(stream("key: 'a' sort_target: MOD"), "ok");
    EXPECT_EQ(stream(""), errors::kEmptyKey.text);
    EXPECT_EQ(stream("key: 'a' sort_order: DESCEND"), errors::kRangeStreamSort.text);
    EXPECT_EQ(stream("key: 'a' sort_order: ASCEND sort_target: MOD"),
              errors::kRangeStreamSort.text);
    EXPECT_EQ(stream("key: 'a' min_mod_revision: 1"), errors::kRangeStreamFilter.text);
    EXPECT_EQ(stream("key: 'a' max_create_revision: 1"), errors::kRangeStreamFilter.text);
}

TEST(Checks, PutRefusesWhatItIsToldToIgnore) {
    EXPECT_EQ(put("key: 'a'"), "ok");
    EXPECT_EQ(put("value: 'a'"), errors::kEmptyKey.text);
    EXPECT_EQ(put("key: 'a' ignore_value: true"), "ok");
    EXPECT_EQ(put("key: 'a' ignore_value: true value: 'v'"), errors::kValueProvided.text);
    EXPECT_EQ(put("key: 'a' ignore_lease: true"), "ok");
    EXPECT_EQ(put("key: 'a' ignore_lease: true lease: 1"), errors::kLeaseProvided.text);
    EXPECT_EQ(put("key: 'a' value: 'v' lease: 1 ignore_value: true ignore_lease: true"),
              errors::kValueProvided.text);
}

TEST(Checks, DeleteNeedsKey) {
    pb::DeleteRangeRequest request;
    EXPECT_EQ(text_of(check(to_view(request))), errors::kEmptyKey.text);
    request.set_key("a");
    EXPECT_EQ(text_of(check(to_view(request))), "ok");
}

TEST(Checks, ErrorsCarryTheirCode) {
    const auto status = check(RangeView());
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code(), Code::kInvalidArgument);
    EXPECT_TRUE(errors::kEmptyKey.is(status.error()));
    EXPECT_FALSE(errors::kKeyNotFound.is(status.error()));
}

TEST(Checks, TxnBudgetIsTheLargestOfTheThreeLists) {
    EXPECT_EQ(txn(""), "ok");
    EXPECT_EQ(txn(put_op("a") + put_op("b"), 2), "ok");
    EXPECT_EQ(txn(put_op("a") + put_op("b"), 1), errors::kTooManyOps.text);
    EXPECT_EQ(txn("compare { key: 'a' } compare { key: 'b' }", 1), errors::kTooManyOps.text);
    EXPECT_EQ(txn("compare { key: 'a' } success { request_range { key: 'a' } } "
                  "failure { request_range { key: 'a' } }",
                  1),
              "ok");
}

TEST(Checks, NestedTxnGetsWhatTheParentsLeaveOver) {
    // The parent's widest list has two entries, so that one is left of three.
    EXPECT_EQ(txn(nested(put_op("a")) + put_op("b"), 3), "ok");
    EXPECT_EQ(txn(nested(put_op("a") + put_op("c")) + put_op("b"), 3), errors::kTooManyOps.text);
    EXPECT_EQ(txn(nested(nested(put_op("a"))), 3), "ok");
    EXPECT_EQ(txn(nested(nested(put_op("a"))), 2), errors::kTooManyOps.text);
}

TEST(Checks, TxnChecksEveryPartInEtcdsOrder) {
    EXPECT_EQ(txn("compare { version: 1 }"), errors::kEmptyKey.text);
    EXPECT_EQ(txn("success {}"), errors::kKeyNotFound.text);
    EXPECT_EQ(txn("failure {}"), errors::kKeyNotFound.text);
    EXPECT_EQ(txn("success { request_range { key: 'a' sort_order: 9 } }"),
              errors::kInvalidSortOption.text);
    EXPECT_EQ(txn("success { request_put { key: 'a' ignore_lease: true lease: 7 } }"),
              errors::kLeaseProvided.text);
    EXPECT_EQ(txn("failure { request_delete_range {} }"), errors::kEmptyKey.text);
    EXPECT_EQ(txn(nested("success { request_put {} }")), errors::kEmptyKey.text);
    // A conflict is found only after everything else is in order.
    EXPECT_EQ(txn(put_op("a") + put_op("a") + "failure {}"), errors::kKeyNotFound.text);
}

TEST(Checks, KeyMayBePutOnceInABranch) {
    const std::string_view duplicate = errors::kDuplicateKey.text;
    EXPECT_EQ(txn(put_op("a") + put_op("a")), duplicate);
    EXPECT_EQ(txn(put_op("a") + "failure { request_put { key: 'a' } }"), "ok");
    EXPECT_EQ(txn(put_op("a") + nested(put_op("a"))), duplicate);
    EXPECT_EQ(txn(nested(put_op("a")) + nested(put_op("a"))), duplicate);
    EXPECT_EQ(txn(nested(put_op("a") + "failure { request_put { key: 'a' } }")), "ok");
    EXPECT_EQ(txn(nested("failure { request_put { key: 'a' } }") + put_op("a")), duplicate);
    EXPECT_EQ(txn(nested(put_op("a") + put_op("a"))), duplicate);
    std::string many;
    for (int i = 0; i < 20; ++i) many += put_op("key" + std::to_string(i));
    EXPECT_EQ(txn(many), "ok");
    EXPECT_EQ(txn(many + put_op("key7")), duplicate);
}

TEST(Checks, KeyMayNotBePutWhereTheBranchDeletes) {
    const std::string_view duplicate = errors::kDuplicateKey.text;
    EXPECT_EQ(txn(put_op("a") + delete_op("a")), duplicate);
    EXPECT_EQ(txn(delete_op("a") + put_op("a")), duplicate);
    EXPECT_EQ(txn(delete_op("a", "c") + put_op("b")), duplicate);
    EXPECT_EQ(txn(delete_op("a", "c") + put_op("c")), "ok");
    EXPECT_EQ(txn(delete_op("a", "c") + delete_op("b", "d")), "ok");
    EXPECT_EQ(txn(delete_op("a", "c") + delete_op("b", "d") + put_op("c")), duplicate);
    EXPECT_EQ(txn(nested(delete_op("a", "c")) + put_op("b")), duplicate);
    EXPECT_EQ(txn(nested(put_op("b")) + delete_op("a", "c")), duplicate);
    EXPECT_EQ(txn(delete_op("c", "a") + put_op("b")), "ok");
    // To the end of the keys: etcd lets this pass.
    EXPECT_EQ(txn(delete_op("a", "\\000") + put_op("b")), "ok");
    // etcd holds a nested delete against later operations only.
    EXPECT_EQ(txn(nested(put_op("b")) + nested(delete_op("a", "c"))), "ok");
    EXPECT_EQ(txn(nested(delete_op("a", "c")) + nested(put_op("b"))), duplicate);
}

TEST(Checks, ReadOnlyAndSerializableTransactions) {
    const auto read = parse<pb::TxnRequest>("compare { key: 'a' } success { request_range {} }");
    EXPECT_TRUE(is_read_only(read));
    EXPECT_FALSE(is_serializable(read));
    const auto serializable = parse<pb::TxnRequest>(
        "success { request_range { serializable: true } } "
        "failure { request_range { serializable: true } }");
    EXPECT_TRUE(is_serializable(serializable));
    EXPECT_FALSE(is_read_only(parse<pb::TxnRequest>("failure { request_put { key: 'a' } }")));
    EXPECT_FALSE(is_read_only(parse<pb::TxnRequest>("success { request_txn {} }")));
    EXPECT_TRUE(is_read_only(pb::TxnRequest()));
}

TEST(Checks, OnlyPutsNeedRoom) {
    const auto puts = [](const char* text) { return puts_something(parse<pb::TxnRequest>(text)); };
    EXPECT_FALSE(puts(""));
    EXPECT_FALSE(puts("success { request_delete_range { key: 'a' } }"));
    EXPECT_FALSE(puts("failure { request_txn { success { request_range { key: 'a' } } } }"));
    EXPECT_TRUE(puts("failure { request_put { key: 'a' } }"));
    EXPECT_TRUE(puts("success { request_txn { failure { request_put { key: 'a' } } } }"));
}

// The rule, written as plainly as possible: lists and linear searches.
struct PlainWrites {
    std::set<std::string> puts;
    std::vector<pb::DeleteRangeRequest> deletes;

    bool deleted(const std::string& key) const {
        for (const auto& d : deletes) {
            if (d.range_end().empty() ? key == d.key() : d.key() <= key && key < d.range_end()) {
                return true;
            }
        }
        return false;
    }
};

bool plain_collect(const google::protobuf::RepeatedPtrField<pb::RequestOp>& ops, PlainWrites& out) {
    for (const auto& op : ops) {
        if (op.has_request_delete_range()) out.deletes.push_back(op.request_delete_range());
    }
    for (const auto& op : ops) {
        if (!op.has_request_txn()) continue;
        PlainWrites sides[2];
        if (!plain_collect(op.request_txn().success(), sides[0])) return false;
        if (!plain_collect(op.request_txn().failure(), sides[1])) return false;
        const PlainWrites before = out;
        for (const auto& side : sides) {
            for (const auto& key : side.puts) {
                if (before.puts.contains(key) || before.deleted(key)) return false;
                out.puts.insert(key);
            }
            out.deletes.insert(out.deletes.end(), side.deletes.begin(), side.deletes.end());
        }
    }
    for (const auto& op : ops) {
        if (!op.has_request_put()) continue;
        const std::string& key = op.request_put().key();
        if (out.deleted(key) || !out.puts.insert(key).second) return false;
    }
    return true;
}

void fill_branch(std::mt19937& random, int depth,
                 google::protobuf::RepeatedPtrField<pb::RequestOp>* ops) {
    const auto key = [&] {
        return std::string(1 + random() % 2, static_cast<char>('a' + random() % 12));
    };
    const unsigned count = random() % 5;
    for (unsigned i = 0; i < count; ++i) {
        pb::RequestOp* op = ops->Add();
        const unsigned kind = random() % (depth > 0 ? 8 : 6);
        if (kind < 4) {
            op->mutable_request_put()->set_key(key());
        } else if (kind < 6) {
            op->mutable_request_delete_range()->set_key(key());
            if (kind == 5) op->mutable_request_delete_range()->set_range_end(key());
        } else {
            fill_branch(random, depth - 1, op->mutable_request_txn()->mutable_success());
            fill_branch(random, depth - 1, op->mutable_request_txn()->mutable_failure());
        }
    }
}

TEST(Checks, ConflictsEqualThePlainRuleOnRandomBranches) {
    constexpr unsigned kSeed = 20240801;
    std::mt19937 random(kSeed);
    int conflicts = 0;
    constexpr int kRounds = 20000;
    for (int round = 0; round < kRounds; ++round) {
        pb::TxnRequest request;
        fill_branch(random, 3, request.mutable_success());
        PlainWrites writes;
        const bool expected = !plain_collect(request.success(), writes);
        ASSERT_EQ(has_conflict(request.success()), expected) << request.ShortDebugString();
        conflicts += expected;
    }
    // Both outcomes must be common, or the comparison says little.
    EXPECT_GT(conflicts, kRounds / 10);
    EXPECT_LT(conflicts, kRounds * 9 / 10);
}

}  // namespace
}  // namespace sluice::etcd
