#include "etcd/server/alarms.h"

#include <gtest/gtest.h>

namespace sluice::etcd {
namespace {

constexpr RaisedAlarm kFull{1, AlarmType::NOSPACE};
constexpr RaisedAlarm kFullElsewhere{2, AlarmType::NOSPACE};
constexpr RaisedAlarm kCorrupt{1, AlarmType::CORRUPT};

TEST(AlarmsTest, NoSpaceHoldsUntilTheLastMemberHasRoom) {
    Alarms alarms;
    EXPECT_FALSE(alarms.no_space());
    alarms.activate(kCorrupt);
    EXPECT_FALSE(alarms.no_space());
    EXPECT_TRUE(alarms.corrupt());
    alarms.activate(kFull);
    alarms.activate(kFull);
    alarms.activate(kFullElsewhere);
    EXPECT_TRUE(alarms.no_space());
    EXPECT_TRUE(alarms.deactivate(kCorrupt));
    EXPECT_FALSE(alarms.corrupt());
    EXPECT_TRUE(alarms.deactivate(kFull));
    EXPECT_FALSE(alarms.deactivate(kFull)) << "raised once, however often asked for";
    EXPECT_TRUE(alarms.no_space());
    EXPECT_TRUE(alarms.deactivate(kFullElsewhere));
    EXPECT_FALSE(alarms.no_space());
}

TEST(AlarmsTest, ListsByType) {
    Alarms alarms;
    for (const RaisedAlarm& alarm : {kFullElsewhere, kCorrupt, kFull}) alarms.activate(alarm);
    using List = std::vector<RaisedAlarm>;
    EXPECT_EQ(alarms.list(AlarmType::NONE), (List{kFull, kCorrupt, kFullElsewhere}));
    EXPECT_EQ(alarms.list(AlarmType::NOSPACE), (List{kFull, kFullElsewhere}));
    EXPECT_EQ(alarms.list(AlarmType::CORRUPT), (List{kCorrupt}));
}

TEST(AlarmsTest, RecordsComeBack) {
    for (const RaisedAlarm& alarm : {kFull, kCorrupt, RaisedAlarm{~0ull, AlarmType::NOSPACE}}) {
        const auto read = decode_alarm_record(alarm_record_key(alarm));
        ASSERT_TRUE(read);
        EXPECT_EQ(*read, alarm);
    }
    EXPECT_EQ(alarm_record_key(kFull), "alarm/0000000000000001/1");
}

TEST(AlarmsTest, DamagedRecordsAreRefused) {
    for (const char* key :
         {"", "alarm/", "lease/0000000000000001/1", "alarm/0000000000000001",
          "alarm/0000000000000001/", "alarm/0000000000000001/x", "alarm/0000000000000001/1x",
          "alarm/000000000000000g/1", "alarm/0000000000000001-1"}) {
        const auto read = decode_alarm_record(key);
        ASSERT_FALSE(read) << key;
        EXPECT_EQ(read.error().code(), Code::kDataLoss);
    }
}

}  // namespace
}  // namespace sluice::etcd
