// The alarms that are raised in the cluster: changed through the log only, kept as meta records of
// the store, read by anyone.
//
// Threads: activate, deactivate and restore by the applier; the rest by anyone. One short lock.
#pragma once

#include <atomic>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "proto/etcdserverpb/maintenance.pb.h"

namespace sluice::etcd {

using etcdserverpb::AlarmType;

struct RaisedAlarm {
    std::uint64_t member_id = 0;
    AlarmType type = AlarmType::NONE;
    auto operator<=>(const RaisedAlarm&) const = default;
};

// The key of an alarm's meta record in the store; its value is empty (docs/formats/entries.md).
inline constexpr std::string_view kAlarmRecordPrefix = "alarm/";
std::string alarm_record_key(const RaisedAlarm& alarm);
Result<RaisedAlarm> decode_alarm_record(std::string_view key);

class Alarms {
  public:
    void activate(const RaisedAlarm& alarm);
    bool deactivate(const RaisedAlarm& alarm);  // false: it was not raised

    // Type NONE: all.
    std::vector<RaisedAlarm> list(AlarmType type) const;
    // One atomic load each: asked for every write.
    bool no_space() const noexcept { return no_space_.load(std::memory_order_relaxed); }
    bool corrupt() const noexcept { return corrupt_.load(std::memory_order_relaxed); }

  private:
    void refresh() SLUICE_REQUIRES(mutex_);

    mutable Mutex mutex_;
    std::set<RaisedAlarm> raised_ SLUICE_GUARDED_BY(mutex_);
    // Relaxed: whoever must see it exactly is the applier itself.
    std::atomic<bool> no_space_{false};
    std::atomic<bool> corrupt_{false};
};

}  // namespace sluice::etcd
