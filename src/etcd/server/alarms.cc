#include "etcd/server/alarms.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

namespace sluice::etcd {

std::string alarm_record_key(const RaisedAlarm& alarm) {
    return fmt::format("{}{:016x}/{}", kAlarmRecordPrefix, alarm.member_id,
                       static_cast<int>(alarm.type));
}

Result<RaisedAlarm> decode_alarm_record(std::string_view key) {
    const auto damaged = [key] {
        return fail(Code::kDataLoss, fmt::format("damaged alarm record \"{}\"", key));
    };
    constexpr std::size_t kIdDigits = 16;
    if (!key.starts_with(kAlarmRecordPrefix)) return damaged();
    key.remove_prefix(kAlarmRecordPrefix.size());
    if (key.size() < kIdDigits + 2 || key[kIdDigits] != '/') return damaged();
    RaisedAlarm alarm;
    int type = 0;
    const char* const end = key.data() + key.size();
    const auto id = std::from_chars(key.data(), key.data() + kIdDigits, alarm.member_id, 16);
    const auto number = std::from_chars(key.data() + kIdDigits + 1, end, type);
    if (id.ec != std::errc() || id.ptr != key.data() + kIdDigits) return damaged();
    if (number.ec != std::errc() || number.ptr != end) return damaged();
    alarm.type = static_cast<AlarmType>(type);
    return alarm;
}

void Alarms::activate(const RaisedAlarm& alarm) {
    MutexLock lock(mutex_);
    raised_.insert(alarm);
    refresh();
}

bool Alarms::deactivate(const RaisedAlarm& alarm) {
    MutexLock lock(mutex_);
    const bool was_raised = raised_.erase(alarm) != 0;
    refresh();
    return was_raised;
}

std::vector<RaisedAlarm> Alarms::list(AlarmType type) const {
    MutexLock lock(mutex_);
    std::vector<RaisedAlarm> found;
    std::ranges::copy_if(raised_, std::back_inserter(found), [type](const RaisedAlarm& alarm) {
        return type == AlarmType::NONE || alarm.type == type;
    });
    return found;
}

void Alarms::refresh() {
    const auto raised = [this](AlarmType type) SLUICE_REQUIRES(mutex_) {
        return std::ranges::any_of(raised_,
                                   [type](const auto& alarm) { return alarm.type == type; });
    };
    no_space_.store(raised(AlarmType::NOSPACE), std::memory_order_relaxed);
    corrupt_.store(raised(AlarmType::CORRUPT), std::memory_order_relaxed);
}

}  // namespace sluice::etcd
