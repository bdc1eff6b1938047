// Random writers, watchers, slow clients and compactions against a plain reference: what each
// watcher receives must be exactly the log's events of its range, in order, none twice, none
// missing, whole revisions at a time, and no revision may be announced before it has been served.
//
// A failure prints its seed; run one seed with SLUICE_SEED=<n>.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include "etcd/watch_testing.h"

namespace sluice::etcd {
namespace {

using Response = etcdserverpb::WatchResponse;
const std::string kToTheEnd(1, '\0');

struct Wanted {
    std::string key;
    std::string end;
    Revision start = 0;  // the first revision to be delivered
    bool prev_kv = false;
    bool fragment = false;
    bool no_put = false;
    bool no_delete = false;
    bool progress = false;
    bool from_now = false;  // start was not asked for
};

// What one watcher has received so far, held against the log.
class Checker {
  public:
    Checker(const WatchWorld& world, Wanted wanted)
        : world_(world), wanted_(std::move(wanted)), next_(wanted_.start) {}

    // Takes a response with events. `next_` is the first revision not yet received.
    void events(const Response& response) {
        ASSERT_FALSE(ended_);
        for (const auto& event : response.events()) {
            if (index_ == 0 || event.kv().mod_revision() != next_) {
                ASSERT_EQ(index_, 0U) << "a revision was cut short";
                skip_to(event.kv().mod_revision());
            }
            const auto expected = matching(next_);
            ASSERT_LT(index_, expected.size());
            check(event, *expected[index_]);
            if (++index_ == expected.size()) {
                ++next_;
                index_ = 0;
            }
        }
        ASSERT_TRUE(wanted_.fragment || !response.fragment());
        if (!response.fragment()) {
            ASSERT_EQ(index_, 0U) << "a revision was cut short";
            skip_to(response.header().revision() + 1);
        }
    }
    // All events up to that revision must have been received.
    void progress(Revision revision) {
        ASSERT_FALSE(ended_);
        ASSERT_EQ(index_, 0U);
        if (!wanted_.from_now) {
            ASSERT_GE(revision, wanted_.start) << "progress before the start revision";
        }
        skip_to(revision + 1);
    }
    void compacted(Revision revision) {
        ASSERT_EQ(index_, 0U);
        ASSERT_LT(next_, revision) << "cancelled though its revision was there";
        ended_ = true;
    }
    void finish() {
        if (ended_) return;
        ASSERT_EQ(index_, 0U);
        if (wanted_.start <= world_.revision()) skip_to(world_.revision() + 1);
    }
    bool ended() const { return ended_; }
    const Wanted& wanted() const { return wanted_; }

  private:
    std::vector<const storage::Event*> matching(Revision revision) const {
        std::vector<const storage::Event*> events;
        if (revision < 2) return events;  // the empty store
        for (const auto& event : world_.log().at(static_cast<std::size_t>(revision - 2)).events) {
            const bool is_delete = event.type == storage::Event::Type::kDelete;
            if (is_delete ? wanted_.no_delete : wanted_.no_put) continue;
            if (in_range(event.kv.key, wanted_.key, wanted_.end)) events.push_back(&event);
        }
        return events;
    }
    // No revision in between may have had something for this watcher.
    void skip_to(Revision revision) {
        ASSERT_LE(revision, world_.revision() + 1);
        for (; next_ < revision; ++next_) {
            ASSERT_TRUE(matching(next_).empty()) << "lost revision " << next_;
        }
        ASSERT_EQ(next_, std::max(next_, revision)) << "revision out of order";
    }
    void check(const mvccpb::Event& event, const storage::Event& expected) {
        ASSERT_EQ(event.kv().key(), expected.kv.key);
        ASSERT_EQ(event.kv().value(), expected.kv.value);
        ASSERT_EQ(event.kv().mod_revision(), expected.kv.mod_revision);
        ASSERT_EQ(event.kv().create_revision(), expected.kv.create_revision);
        ASSERT_EQ(event.kv().version(), expected.kv.version);
        ASSERT_EQ(event.type() == mvccpb::Event::DELETE,
                  expected.type == storage::Event::Type::kDelete);
        const bool had_prev = wanted_.prev_kv && expected.prev.version != 0;
        if (event.has_prev_kv()) {
            ASSERT_TRUE(had_prev);
            ASSERT_EQ(event.prev_kv().value(), expected.prev.value);
            ASSERT_EQ(event.prev_kv().mod_revision(), expected.prev.mod_revision);
        } else if (had_prev) {
            ASSERT_LE(expected.kv.mod_revision, world_.compacted_revision());
        }
    }

    const WatchWorld& world_;
    Wanted wanted_;
    Revision next_;
    std::size_t index_ = 0;  // events of next_ received so far
    bool ended_ = false;
};

// A client that checks what it reads, as it reads it.
class ModelClient {
  public:
    explicit ModelClient(WatchWorld& world) : world_(world), client_(world) {}

    WatchClient& client() { return client_; }
    std::map<std::int64_t, Checker>& watchers() { return watchers_; }

    void create(const Wanted& wanted) {
        const Revision asked = wanted.start;
        created_.push_back(wanted);
        client_.stream().create({.key = wanted.key,
                                 .range_end = wanted.end,
                                 .start_revision = asked,
                                 .progress_notify = wanted.progress,
                                 .prev_kv = wanted.prev_kv,
                                 .fragment = wanted.fragment,
                                 .no_put = wanted.no_put,
                                 .no_delete = wanted.no_delete});
    }
    void cancel(std::int64_t id) {
        cancelled_.insert(id);
        client_.stream().cancel(id);
    }
    void read(std::size_t bytes_max) {
        client_.read(bytes_max);
        for (; !client_.responses().empty(); client_.responses().pop_front()) {
            take(client_.responses().front());
        }
    }
    int progress_answers() const { return progress_answers_; }
    int events() const { return events_; }
    int compactions() const { return compactions_; }

  private:
    void take(const Response& response) {
        const std::int64_t id = response.watch_id();
        if (response.created()) {
            ASSERT_FALSE(created_.empty());
            Wanted wanted = created_.front();
            created_.pop_front();
            wanted.from_now = wanted.start == 0;
            if (wanted.from_now) wanted.start = response.header().revision() + 1;
            ASSERT_TRUE(watchers_.try_emplace(id, world_, wanted).second);
            return;
        }
        if (id == -1) {
            ++progress_answers_;
            for (auto& [other, checker] : watchers_) {
                // A cancel that is still under way cannot be seen from here.
                if (!checker.ended() && !cancelled_.contains(other)) {
                    checker.progress(response.header().revision());
                }
            }
            return;
        }
        const auto place = watchers_.find(id);
        ASSERT_NE(place, watchers_.end()) << "before created, or after canceled: " << id;
        if (response.compact_revision() != 0) {
            ++compactions_;
            ASSERT_TRUE(response.canceled());
            place->second.compacted(response.compact_revision());
        } else if (response.canceled()) {
            ASSERT_EQ(cancelled_.erase(id), 1U);
            watchers_.erase(place);
        } else if (response.events_size() == 0) {
            ASSERT_TRUE(place->second.wanted().progress);
            place->second.progress(response.header().revision());
        } else {
            events_ += response.events_size();
            place->second.events(response);
        }
    }

    WatchWorld& world_;
    WatchClient client_;
    std::deque<Wanted> created_;
    std::map<std::int64_t, Checker> watchers_;
    std::set<std::int64_t> cancelled_;
    int progress_answers_ = 0;
    int events_ = 0;
    int compactions_ = 0;
};

struct Totals {
    int events = 0;
    int progress_answers = 0;
    int compactions = 0;
    std::uint64_t history_reads = 0;
};

class Simulation {
  public:
    Simulation(unsigned seed, Totals& totals) : random_(seed), totals_(totals), world_(options()) {}

    void run(int steps) {
        for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) step();
        finish();
    }

  private:
    WatchOptions options() {
        WatchOptions options;
        options.response_bytes_max = 100 + below(300);
        options.stream_bytes_max = 200 + below(3000);
        options.recent_bytes_max = below(3) == 0 ? 0 : below(20000);
        options.progress_interval_ns = kSecond;
        return options;
    }
    unsigned below(unsigned bound) { return static_cast<unsigned>(random_() % bound); }
    bool chance(unsigned one_in) { return below(one_in) == 0; }
    std::string key() {
        std::string text(1 + below(2), 'a');
        for (char& c : text) c = static_cast<char>('a' + below(4));
        return text;
    }

    void step() {
        const unsigned kind = below(100);
        if (kind < 35) return write();
        if (kind < 60) return catch_up();
        if (clients_.empty() || kind < 62) return connect();
        ModelClient& client = *clients_[below(static_cast<unsigned>(clients_.size()))];
        if (kind < 80) return client.read(below(4) == 0 ? 100000 : 1 + below(500));
        if (kind < 88) return create(client);
        if (kind < 91) return cancel(client);
        if (kind < 93) return client.client().stream().request_progress();
        if (kind < 95) return tick();
        if (kind < 97) return compact();
        if (kind == 97) return disconnect();
        world_.read_error = Error(Code::kUnavailable, "injected");
    }
    void write() {
        std::vector<WatchWorld::Change> changes;
        std::set<std::string> keys;
        const unsigned count = chance(6) ? 2 + below(8) : 1;
        for (unsigned i = 0; i < count; ++i) {
            const std::string name = key();
            if (!keys.insert(name).second) continue;
            if (existing_.contains(name) && chance(4)) {
                existing_.erase(name);
                changes.push_back({name, std::nullopt});
            } else {
                existing_.insert(name);
                changes.push_back({name, std::string(below(60), 'v') + std::to_string(random_())});
            }
        }
        world_.write(changes);
    }
    void catch_up() {
        const bool fails = world_.read_error.has_value();
        const auto more = world_.hub().catch_up_step();
        ASSERT_TRUE(more || fails);
    }
    void connect() {
        if (clients_.size() < 6) clients_.push_back(std::make_unique<ModelClient>(world_));
    }
    void disconnect() {
        const auto place = clients_.begin() + below(static_cast<unsigned>(clients_.size()));
        count(**place);
        clients_.erase(place);
    }
    void create(ModelClient& client) {
        if (client.client().stream().congested()) return;
        Wanted wanted;
        wanted.key = key();
        switch (below(4)) {
            case 0:
                break;
            case 1:
                wanted.end = kToTheEnd;
                break;
            default:
                wanted.end = wanted.key + "c";
        }
        switch (below(5)) {
            case 0:
                wanted.start = world_.revision() + 1 + below(20);
                break;
            case 1:
                break;
            default:
                wanted.start = 1 + below(static_cast<unsigned>(world_.revision()));
        }
        wanted.prev_kv = chance(2);
        wanted.fragment = chance(3);
        wanted.no_put = chance(5);
        wanted.no_delete = chance(5);
        wanted.progress = chance(3);
        client.create(wanted);
    }
    void cancel(ModelClient& client) {
        if (client.watchers().empty()) return;
        client.cancel(client.watchers().begin()->first);
    }
    void tick() {
        world_.clock.now += kSecond + below(kSecond / 4);
        world_.hub().progress_step();
    }
    void compact() {
        const Revision low = std::max<Revision>(world_.compacted_revision(), 1);
        const auto room = static_cast<unsigned>(world_.revision() - low);
        if (room == 0) return;
        const Revision target = low + 1 + below(room);
        // Half of them reach the store a little before the hub.
        if (chance(2)) {
            world_.compact_under_read = target;
        } else if (!world_.compact_under_read) {
            world_.compact(target);
        }
    }
    void finish() {
        world_.read_error.reset();
        for (int round = 0; round < 10000; ++round) {
            for (auto& client : clients_) client->read(SIZE_MAX);
            if (!world_.catch_up_once() && world_.hub().stats().slow == 0) break;
        }
        ASSERT_EQ(world_.hub().stats().slow, 0U) << "somebody never catches up";
        for (auto& client : clients_) {
            client->read(SIZE_MAX);
            for (auto& [id, checker] : client->watchers()) checker.finish();
            count(*client);
        }
        totals_.history_reads += world_.hub().stats().history_reads;
        clients_.clear();
        ASSERT_EQ(world_.hub().stats().watchers, 0U);
        ASSERT_EQ(world_.hub().stats().groups, 0U);
    }
    void count(const ModelClient& client) {
        totals_.events += client.events();
        totals_.progress_answers += client.progress_answers();
        totals_.compactions += client.compactions();
    }

    std::mt19937 random_;
    Totals& totals_;
    WatchWorld world_;
    std::set<std::string> existing_;
    std::vector<std::unique_ptr<ModelClient>> clients_;
};

TEST(WatchModel, EveryWatcherGetsExactlyItsEvents) {
    Totals totals;
    unsigned first = 1;
    unsigned last = 300;
    if (const char* seed = std::getenv("SLUICE_SEED")) {
        first = last = static_cast<unsigned>(std::atoi(seed));
    }
    for (unsigned seed = first; seed <= last && !HasFailure(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Simulation(seed, totals).run(1000);
    }
    if (first == last) return;
    // The runs must have reached what they are for.
    EXPECT_GT(totals.events, 100'000);
    EXPECT_GT(totals.progress_answers, 300);
    EXPECT_GT(totals.compactions, 300);
    EXPECT_GT(totals.history_reads, 3'000U);
}

}  // namespace
}  // namespace sluice::etcd
