#include "etcd/lessor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "etcd/errors.h"

namespace sluice::etcd {
namespace {

using Outcome = Renewal::Outcome;
using testing::ElementsAre;
using testing::IsEmpty;

class FakeClock final : public Clock {
  public:
    TimeNs now_ns() const override { return now; }
    TimeNs wall_ns() const override { return now; }
    void advance_s(std::int64_t seconds) { now += seconds * kSecond; }

    TimeNs now = 1000 * kSecond;
};

class LessorTest : public testing::Test {
  protected:
    void grant(LeaseId id, std::int64_t ttl_s) { ASSERT_TRUE(lessor_.grant(id, ttl_s)); }
    std::vector<LeaseId> expired() {
        std::vector<LeaseId> ids;
        next_ = lessor_.collect_expired(ids);
        return ids;
    }

    FakeClock clock_;
    Lessor lessor_{{.min_ttl_s = 2}, clock_};
    TimeNs next_ = 0;
};

TEST(LessorOptionsTest, MinimumTtlIsOneAndAHalfElections) {
    EXPECT_EQ(min_lease_ttl_s(10, 100 * kMillisecond), 2);
    EXPECT_EQ(min_lease_ttl_s(10, kSecond), 15);
    EXPECT_EQ(min_lease_ttl_s(5, 100 * kMillisecond), 1);
}

TEST_F(LessorTest, PrepareSettlesIdAndTtl) {
    EXPECT_EQ(lessor_.prepare(7, 60, 1)->id, 7);
    EXPECT_EQ(lessor_.prepare(7, 60, 1)->ttl_s, 60);
    EXPECT_EQ(lessor_.prepare(7, 1, 1)->ttl_s, 2);
    EXPECT_EQ(lessor_.prepare(7, -5, 1)->ttl_s, 2);
    EXPECT_TRUE(lessor_.prepare(7, 9'000'000'000, 1));
    EXPECT_TRUE(errors::kLeaseTTLTooLarge.is(lessor_.prepare(7, 9'000'000'001, 1).error()));
    // A chosen id is positive and free, whatever the random number.
    grant(5, 10);
    EXPECT_EQ(lessor_.prepare(0, 10, 5)->id, 6);
    EXPECT_EQ(lessor_.prepare(0, 10, 0)->id, 1);
    EXPECT_EQ(lessor_.prepare(0, 10, UINT64_MAX)->id, INT64_MAX);
    EXPECT_EQ(lessor_.prepare(0, 10, std::uint64_t{1} << 63)->id, 1);
}

TEST_F(LessorTest, GrantRefusesWhatEtcdRefuses) {
    EXPECT_TRUE(errors::kLeaseNotFound.is(lessor_.grant(0, 10).error()));
    EXPECT_TRUE(errors::kLeaseTTLTooLarge.is(lessor_.grant(1, 9'000'000'001).error()));
    EXPECT_FALSE(lessor_.exists(1));
    const auto record = lessor_.grant(1, 10);
    EXPECT_EQ(*record, (LeaseRecord{10, 0}));
    EXPECT_TRUE(errors::kLeaseExist.is(lessor_.grant(1, 20).error()));
    EXPECT_EQ(lessor_.time_to_live(1)->granted_ttl_s, 10);
    EXPECT_TRUE(lessor_.grant(-3, 10));
}

TEST_F(LessorTest, RevokeForgets) {
    lessor_.promote();
    EXPECT_TRUE(errors::kLeaseNotFound.is(lessor_.revoke(1).error()));
    grant(1, 10);
    EXPECT_TRUE(lessor_.revoke(1));
    EXPECT_FALSE(lessor_.exists(1));
    EXPECT_FALSE(lessor_.time_to_live(1));
    clock_.advance_s(100);
    EXPECT_THAT(expired(), IsEmpty());
    EXPECT_EQ(next_, kNever);
}

TEST_F(LessorTest, ExpiresWhenTheTimeIsOver) {
    lessor_.promote();
    grant(1, 10);
    grant(2, 5);
    EXPECT_THAT(expired(), IsEmpty());
    EXPECT_EQ(next_, clock_.now + 5 * kSecond);
    clock_.advance_s(5);
    EXPECT_THAT(expired(), ElementsAre(2));
    EXPECT_EQ(lessor_.renew(2).outcome, Outcome::kExpiring);
    EXPECT_EQ(lessor_.renew(1).outcome, Outcome::kRenewed);
    // The proposal may get lost: it is made again, but not at once.
    EXPECT_THAT(expired(), IsEmpty());
    EXPECT_EQ(next_, clock_.now + 3 * kSecond);
    clock_.advance_s(3);
    EXPECT_THAT(expired(), ElementsAre(2));
    EXPECT_TRUE(lessor_.revoke(2));
    EXPECT_EQ(lessor_.renew(2).outcome, Outcome::kNotFound);
    clock_.advance_s(7);
    EXPECT_THAT(expired(), ElementsAre(1));
}

TEST_F(LessorTest, RenewGivesTheFullTimeAgain) {
    lessor_.promote();
    grant(1, 10);
    for (int i = 0; i < 5; ++i) {
        clock_.advance_s(9);
        EXPECT_THAT(expired(), IsEmpty());
        const Renewal renewal = lessor_.renew(1);
        EXPECT_EQ(renewal.outcome, Outcome::kRenewed);
        EXPECT_EQ(renewal.ttl_s, 10);
        EXPECT_FALSE(renewal.clear_checkpoint);
    }
    clock_.advance_s(10);
    EXPECT_THAT(expired(), ElementsAre(1));
}

TEST_F(LessorTest, TimeToLiveCountsWholeSecondsDown) {
    lessor_.promote();
    grant(1, 10);
    EXPECT_EQ(lessor_.time_to_live(1)->ttl_s, 10);
    clock_.now += 1;
    EXPECT_EQ(lessor_.time_to_live(1)->ttl_s, 9);
    clock_.advance_s(10);
    EXPECT_EQ(lessor_.time_to_live(1)->ttl_s, 0);
    clock_.advance_s(2);
    EXPECT_EQ(lessor_.time_to_live(1)->ttl_s, -2);
}

TEST_F(LessorTest, OnlyThePrimaryRenewsAndExpires) {
    grant(1, 10);
    EXPECT_EQ(lessor_.renew(1).outcome, Outcome::kNotPrimary);
    clock_.advance_s(100);
    EXPECT_THAT(expired(), IsEmpty());
    lessor_.promote();
    EXPECT_EQ(lessor_.time_to_live(1)->ttl_s, 10);
    clock_.advance_s(9);
    EXPECT_THAT(expired(), IsEmpty());
    lessor_.promote(5 * kSecond);
    clock_.advance_s(14);
    EXPECT_THAT(expired(), IsEmpty());
    clock_.advance_s(1);
    EXPECT_THAT(expired(), ElementsAre(1));
}

TEST_F(LessorTest, RenewAfterAnExtendedPromotionExpiresInTime) {
    grant(1, 10);
    lessor_.promote(100 * kSecond);
    EXPECT_EQ(lessor_.renew(1).outcome, Outcome::kRenewed);
    clock_.advance_s(10);
    EXPECT_THAT(expired(), ElementsAre(1));
}

TEST_F(LessorTest, CheckpointShortensTheNextPromotion) {
    lessor_.promote();
    grant(1, 100);
    EXPECT_EQ(lessor_.checkpoint(1, 30), (LeaseRecord{100, 30}));
    EXPECT_FALSE(lessor_.checkpoint(2, 30));
    lessor_.promote();
    EXPECT_EQ(lessor_.time_to_live(1)->ttl_s, 30);
    const Renewal renewal = lessor_.renew(1);
    EXPECT_TRUE(renewal.clear_checkpoint);
    EXPECT_EQ(lessor_.time_to_live(1)->ttl_s, 100);
}

TEST_F(LessorTest, ListsThoseThatEndFirstFirst) {
    lessor_.promote();
    grant(1, 30);
    grant(2, 10);
    grant(3, 20);
    EXPECT_THAT(lessor_.leases(), ElementsAre(2, 3, 1));
    EXPECT_EQ(lessor_.size(), 3U);
}

TEST_F(LessorTest, RestoredLeasesRunInFullFromPromotion) {
    lessor_.restore(1, {60, 0});
    lessor_.restore(2, {60, 20});
    clock_.advance_s(1000);
    lessor_.promote();
    EXPECT_EQ(lessor_.time_to_live(1)->ttl_s, 60);
    EXPECT_EQ(lessor_.time_to_live(2)->ttl_s, 20);
}

TEST_F(LessorTest, LongestTtlDoesNotOverflow) {
    clock_.now = INT64_MAX / 2;
    lessor_.promote();
    grant(1, 9'000'000'000);
    EXPECT_EQ(lessor_.renew(1).outcome, Outcome::kRenewed);
    EXPECT_THAT(expired(), IsEmpty());
    EXPECT_EQ(next_, kNever);
}

TEST_F(LessorTest, ExpiryIsCappedPerCall) {
    lessor_.promote();
    for (LeaseId id = 1; id <= 1200; ++id) grant(id, 10);
    clock_.advance_s(10);
    std::vector<LeaseId> all;
    for (const std::size_t expected : {500U, 500U, 200U}) {
        const auto ids = expired();
        EXPECT_EQ(ids.size(), expected);
        all.insert(all.end(), ids.begin(), ids.end());
        if (expected == 500U) {
            EXPECT_EQ(next_, clock_.now + 500 * kMillisecond);
        }
    }
    std::ranges::sort(all);
    EXPECT_EQ(std::ranges::unique(all).size(), 0U);
    EXPECT_EQ(all.size(), 1200U);
}

TEST_F(LessorTest, PromotionSpreadsThePileUp) {
    for (LeaseId id = 1; id <= 3000; ++id) grant(id, 10);
    lessor_.promote();
    clock_.advance_s(10);
    // Three quarters of 1000 a second may end in each second.
    std::map<int, std::size_t> ended;
    for (int second = 0; second < 5; ++second) {
        for (int half = 0; half < 2; ++half) {
            for (const LeaseId id : expired()) {
                ASSERT_TRUE(lessor_.revoke(id));
                ++ended[second];
            }
            clock_.now += 500 * kMillisecond;
        }
    }
    EXPECT_EQ(lessor_.size(), 0U);
    for (int second = 0; second < 4; ++second) EXPECT_EQ(ended[second], 750U) << second;
}

TEST(LeaseRecordTest, RoundTrip) {
    for (const LeaseId id : {LeaseId{1}, LeaseId{-1}, LeaseId{INT64_MAX}, LeaseId{0x1234}}) {
        const LeaseRecord record{9'000'000'000, 17};
        const auto decoded = decode_lease_record(lease_record_key(id), encode_lease_record(record));
        ASSERT_TRUE(decoded);
        EXPECT_EQ(decoded->first, id);
        EXPECT_EQ(decoded->second, record);
    }
    EXPECT_EQ(lease_record_key(0x0102).size(), kLeaseRecordPrefix.size() + 8);
}

TEST(LeaseRecordTest, RefusesWhatIsNotOne) {
    const std::string key = lease_record_key(5);
    const std::string value = encode_lease_record({10, 0});
    EXPECT_TRUE(decode_lease_record(key, value));
    EXPECT_FALSE(decode_lease_record("lease/", value));
    EXPECT_FALSE(decode_lease_record(key + "x", value));
    EXPECT_FALSE(decode_lease_record("alarm/" + key.substr(6), value));
    EXPECT_FALSE(decode_lease_record(key, "\xff"));
    EXPECT_FALSE(decode_lease_record(key, encode_lease_record({10, -1})));
    EXPECT_FALSE(decode_lease_record(key, encode_lease_record({9'000'000'001, 0})));
}

// Random grants, renewals, revocations and time against a list of deadlines.
TEST_F(LessorTest, EqualsAPlainListOnRandomOperations) {
    std::mt19937 random(77);
    std::map<LeaseId, std::pair<std::int64_t, TimeNs>> plain;  // ttl, deadline
    lessor_.promote();
    int expirations = 0;
    for (int step = 0; step < 20000; ++step) {
        const auto id = static_cast<LeaseId>(1 + random() % 50);
        switch (random() % 5) {
            case 0: {
                const auto ttl_s = static_cast<std::int64_t>(2 + random() % 40);
                const bool granted = lessor_.grant(id, ttl_s).has_value();
                ASSERT_EQ(granted, !plain.contains(id));
                if (granted) plain[id] = {ttl_s, clock_.now + ttl_s * kSecond};
                break;
            }
            case 1:
                if (random() % 8 == 0)
                    ASSERT_EQ(lessor_.revoke(id).has_value(), plain.erase(id) == 1);
                break;
            case 2: {
                const auto outcome = lessor_.renew(id).outcome;
                if (!plain.contains(id)) {
                    ASSERT_EQ(outcome, Outcome::kNotFound);
                } else if (auto& [ttl_s, deadline] = plain[id]; deadline <= clock_.now) {
                    ASSERT_EQ(outcome, Outcome::kExpiring);
                } else {
                    ASSERT_EQ(outcome, Outcome::kRenewed);
                    deadline = clock_.now + ttl_s * kSecond;
                }
                break;
            }
            case 3:
                clock_.advance_s(random() % 3);
                break;
            default:
                for (const LeaseId gone : expired()) {
                    ASSERT_LE(plain.at(gone).second, clock_.now);
                    ASSERT_TRUE(lessor_.revoke(gone));
                    plain.erase(gone);
                    ++expirations;
                }
                for (const auto& [left, value] : plain) ASSERT_GT(value.second, clock_.now) << left;
        }
        ASSERT_EQ(lessor_.size(), plain.size());
    }
    EXPECT_GT(expirations, 500);
}

}  // namespace
}  // namespace sluice::etcd
