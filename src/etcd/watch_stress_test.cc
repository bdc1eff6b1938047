// The hub under real threads: a publisher, a catcher and clients that come and go. What it proves
// beyond the model test is the locking; run it in the tsan preset.
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "etcd/watch_hub.h"
#include "etcd/watch_testing.h"

namespace sluice::etcd {
namespace {

constexpr Revision kRevisions = 3000;

class LockedHistory final : public WatchHistory {
  public:
    void append(const EventBatch& batch) {
        std::lock_guard lock(mutex_);
        log_.push_back(batch);
    }
    Result<HistorySlice> read(Revision from, Revision to, const std::vector<HistoryRange>&,
                              std::size_t) override {
        std::lock_guard lock(mutex_);
        HistorySlice slice;
        slice.next = std::min(to + 1, from + 20);
        for (Revision revision = from; revision < slice.next; ++revision) {
            slice.batches.push_back(log_.at(static_cast<std::size_t>(revision - 2)));
        }
        return slice;
    }
    Revision compacted_revision() const override { return -1; }

  private:
    std::mutex mutex_;
    std::vector<EventBatch> log_;
};

class QuietScheduler final : public WatchScheduler {
  public:
    void catch_up_wanted() noexcept override { wanted_.store(true); }
    void progress_wanted(TimeNs) noexcept override {}
    bool take() { return wanted_.exchange(false); }

  private:
    std::atomic<bool> wanted_{false};
};

class QuietSink final : public WatchSink {
  public:
    void on_messages() noexcept override {}
};

// Reads one stream to the last revision, with short-lived watchers beside the one that counts.
void follow(WatchHub& hub, Revision start) {
    QuietSink sink;
    auto stream = hub.open_stream(sink);
    stream->create({.key = "key", .start_revision = start, .watch_id = 1, .prev_kv = true});
    Revision expected = start;
    std::vector<WatchMessage> messages;
    for (int round = 0; expected <= kRevisions; ++round) {
        if (round % 7 == 0) {
            stream->create({.key = "k", .range_end = "l", .start_revision = 2, .watch_id = 2});
            stream->request_progress();
            stream->cancel(2);
        }
        messages.clear();
        if (!stream->take(messages, 2000)) std::this_thread::yield();
        for (const WatchMessage& message : messages) {
            etcdserverpb::WatchResponse response;
            ASSERT_TRUE(response.ParseFromString(std::string(message.prefix()) +
                                                 std::string(message.body().view())));
            if (response.watch_id() != 1) continue;
            for (const auto& event : response.events()) {
                ASSERT_EQ(event.kv().mod_revision(), expected++);
            }
        }
    }
}

TEST(WatchStress, PublisherCatcherAndClientsAtOnce) {
    LockedHistory history;
    QuietScheduler scheduler;
    ManualClock clock;
    WatchHub hub({.stream_bytes_max = 2000, .recent_bytes_max = 20'000}, clock, history, scheduler);
    std::atomic<bool> done{false};

    std::thread publisher([&] {
        EventBatch batch;
        batch.events.resize(1);
        for (batch.revision = 2; batch.revision <= kRevisions; ++batch.revision) {
            storage::Event& event = batch.events[0];
            event.kv = {"key", std::string(50, 'v'), 2, batch.revision, batch.revision - 1, 0};
            history.append(batch);
            hub.publish(batch);
            if (batch.revision % 16 == 0) std::this_thread::yield();
        }
    });
    std::thread catcher([&] {
        while (!done) {
            if (!scheduler.take()) {
                std::this_thread::yield();
                continue;
            }
            for (;;) {
                const auto more = hub.catch_up_step();
                ASSERT_TRUE(more);
                if (!*more) break;
            }
            hub.progress_step();
        }
    });
    std::vector<std::thread> clients;
    for (int i = 0; i < 3; ++i) {
        clients.emplace_back([&hub, i] {
            for (int round = 0; round < 3; ++round) follow(hub, 2 + 100 * i);
        });
    }
    publisher.join();
    for (auto& client : clients) client.join();
    done = true;
    catcher.join();
    EXPECT_EQ(hub.revision(), kRevisions);
    EXPECT_EQ(hub.stats().watchers, 0U);
}

}  // namespace
}  // namespace sluice::etcd
