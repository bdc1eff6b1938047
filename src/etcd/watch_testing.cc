#include "etcd/watch_testing.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "etcd/errors.h"

namespace sluice::etcd {

WatchWorld::WatchWorld(WatchOptions options)
    : hub_(std::make_unique<WatchHub>(options, clock, *this, *this)) {}

void WatchWorld::put(std::string key, std::string value) {
    write({{std::move(key), std::move(value)}});
}

void WatchWorld::remove(std::string key) {
    if (keys_.contains(key)) write({{std::move(key), std::nullopt}});
}

void WatchWorld::write(const std::vector<Change>& changes) {
    write_unseen(changes);
    hub_->publish(log_.back());
}

void WatchWorld::write_unseen(const std::vector<Change>& changes) {
    EventBatch batch;
    batch.revision = revision_ + 1;
    for (const Change& change : changes) {
        storage::Event event;
        event.sub = static_cast<std::uint32_t>(batch.events.size());
        event.kv.key = change.key;
        event.kv.mod_revision = batch.revision;
        const auto old = keys_.find(change.key);
        if (old != keys_.end()) event.prev = old->second;
        if (change.value) {
            event.kv.value = *change.value;
            event.kv.version = event.prev.version + 1;
            event.kv.create_revision =
                event.prev.version == 0 ? batch.revision : event.prev.create_revision;
            keys_[change.key] = event.kv;
        } else {
            event.type = storage::Event::Type::kDelete;
            keys_.erase(change.key);
        }
        batch.events.push_back(std::move(event));
    }
    revision_ = batch.revision;
    log_.push_back(std::move(batch));
}

void WatchWorld::compact(Revision revision) {
    compacted_ = revision;
    hub_->compacted(revision);
}

int WatchWorld::catch_up() {
    wanted = false;
    int steps = 0;
    while (catch_up_once()) {
        ++steps;
        // Every step serves somebody; a step that repeats itself for ever is a bug.
        if (steps > 1'000'000) {
            ADD_FAILURE() << "catching up never ends";
            break;
        }
    }
    return steps;
}

bool WatchWorld::catch_up_once() {
    const auto more = hub_->catch_up_step();
    EXPECT_TRUE(more) << more.error().message();
    return more && *more;
}

Result<HistorySlice> WatchWorld::read(Revision from, Revision to,
                                      const std::vector<HistoryRange>& ranges,
                                      std::size_t bytes_max) {
    last_ranges = ranges;
    if (read_error) return sluice::fail(*std::exchange(read_error, std::nullopt));
    if (compact_under_read) compacted_ = *std::exchange(compact_under_read, std::nullopt);
    if (from < compacted_) return fail(errors::kCompacted);
    HistorySlice slice;
    slice.next = std::max<Revision>(from, 2);  // revision 1 is the empty store
    std::size_t bytes = 0;
    while (slice.next <= to && bytes < bytes_max) {
        EventBatch batch;
        batch.revision = slice.next;
        for (storage::Event event : log_[static_cast<std::size_t>(slice.next - 2)].events) {
            const bool wanted_key =
                ranges.empty() || std::ranges::any_of(ranges, [&](const HistoryRange& range) {
                    return in_range(event.kv.key, range.key, range.range_end);
                });
            if (!wanted_key) continue;
            if (slice.next - 1 < compacted_) event.prev_known = false;
            bytes += event.kv.key.size() + event.kv.value.size() + event.prev.value.size();
            batch.events.push_back(std::move(event));
        }
        if (!batch.events.empty()) slice.batches.push_back(std::move(batch));
        ++slice.next;
    }
    return slice;
}

bool WatchClient::read(std::size_t bytes_max) {
    std::vector<WatchMessage> messages;
    if (!stream_->take(messages, bytes_max)) return false;
    for (const WatchMessage& message : messages) {
        std::string bytes(message.prefix());
        bytes += message.body().view();
        EXPECT_EQ(bytes.size(), message.size());
        EXPECT_TRUE(responses_.emplace_back().ParseFromString(bytes));
    }
    return true;
}

void WatchClient::read_all() {
    while (read(SIZE_MAX)) {
    }
}

etcdserverpb::WatchResponse WatchClient::next() {
    if (responses_.empty()) {
        ADD_FAILURE() << "no response";
        return {};
    }
    auto response = std::move(responses_.front());
    responses_.pop_front();
    return response;
}

std::string text_of_events(const etcdserverpb::WatchResponse& response) {
    std::string text;
    for (const auto& event : response.events()) {
        if (!text.empty()) text += ", ";
        text += event.type() == mvccpb::Event::PUT
                    ? "put " + event.kv().key() + "=" + event.kv().value()
                    : "delete " + event.kv().key();
        text += " @" + std::to_string(event.kv().mod_revision());
        if (event.has_prev_kv()) text += " (was " + event.prev_kv().value() + ")";
    }
    return text;
}

void expect_created(WatchClient& client, std::int64_t id, Revision revision) {
    client.read_all();
    const auto response = client.next();
    EXPECT_TRUE(response.created());
    EXPECT_FALSE(response.canceled());
    EXPECT_EQ(response.watch_id(), id);
    EXPECT_EQ(response.header().revision(), revision);
    EXPECT_EQ(response.events_size(), 0);
}

void expect_refused(WatchClient& client, std::string_view reason) {
    client.read_all();
    const auto response = client.next();
    EXPECT_TRUE(response.created());
    EXPECT_TRUE(response.canceled());
    EXPECT_EQ(response.watch_id(), -1);
    EXPECT_EQ(response.cancel_reason(), reason);
}

std::string next_events(WatchClient& client) {
    client.read_all();
    return text_of_events(client.next());
}

bool in_range(const std::string& key, const std::string& begin, const std::string& end) {
    if (end.empty()) return key == begin;
    return key >= begin && (end == std::string(1, '\0') || key < end);
}

}  // namespace sluice::etcd
