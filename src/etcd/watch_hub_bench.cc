// What a publish costs the writer by the number of watchers it reaches, and what a watcher weighs.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include "etcd/watch_hub.h"

namespace sluice::etcd {
namespace {

class NoHistory final : public WatchHistory {
  public:
    Result<HistorySlice> read(Revision, Revision to, const std::vector<HistoryRange>&,
                              std::size_t) override {
        return HistorySlice{.batches = {}, .next = to + 1};
    }
    Revision compacted_revision() const override { return -1; }
};
class NoScheduler final : public WatchScheduler {
  public:
    void catch_up_wanted() noexcept override {}
    void progress_wanted(TimeNs) noexcept override {}
};
class NoSink final : public WatchSink {
  public:
    void on_messages() noexcept override {}
};

struct Setup {
    SystemClock clock;
    NoHistory history;
    NoScheduler scheduler;
    NoSink sink;
    WatchHub hub{{}, clock, history, scheduler};
    std::vector<std::unique_ptr<WatchStream>> streams;
    std::vector<WatchMessage> taken;
    EventBatch batch;

    Setup() {
        batch.events.resize(1);
        batch.revision = 1;
    }
    void publish(const std::string& key) {
        ++batch.revision;
        batch.events[0].kv = {key, std::string(256, 'v'), 2, batch.revision, 1, 0};
        hub.publish(batch);
    }
    void drain() {
        for (auto& stream : streams) {
            stream->take(taken, SIZE_MAX);
            taken.clear();
        }
    }
};

std::string key_of(std::int64_t i) {
    std::string digits = std::to_string(i);
    return "/registry/pods/default/pod-" + std::string(10 - digits.size(), '0') + digits;
}

// As many streams as watchers, all on one prefix.
void BM_PublishToPrefix(benchmark::State& state) {
    Setup setup;
    for (std::int64_t i = 0; i < state.range(0); ++i) {
        auto& stream = setup.streams.emplace_back(setup.hub.open_stream(setup.sink));
        stream->create({.key = "/registry/pods/", .range_end = "/registry/pods0"});
    }
    setup.drain();
    for (auto _ : state) {
        setup.publish(key_of(7));
        state.PauseTiming();
        setup.drain();
        state.ResumeTiming();
    }
    state.counters["time/watcher"] =
        benchmark::Counter(static_cast<double>(state.iterations() * state.range(0)),
                           benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// Every watcher on a key of its own; one is hit.
void BM_PublishToOneOfManyKeys(benchmark::State& state) {
    Setup setup;
    auto& stream = setup.streams.emplace_back(setup.hub.open_stream(setup.sink));
    for (std::int64_t i = 0; i < state.range(0); ++i) stream->create({.key = key_of(i)});
    setup.drain();
    std::int64_t next = 0;
    for (auto _ : state) {
        setup.publish(key_of(next++ % state.range(0)));
        if (next % 256 == 0) setup.drain();
    }
}

// Nobody is connected, and somebody is but watches something else.
void BM_PublishUnwatched(benchmark::State& state) {
    Setup setup;
    if (state.range(0) > 0) {
        auto& stream = setup.streams.emplace_back(setup.hub.open_stream(setup.sink));
        stream->create({.key = "other"});
    }
    const std::string key = key_of(7);
    for (auto _ : state) setup.publish(key);
}

// Heap bytes a watcher, on one stream: all on one prefix (0) or each on its own 37-byte key (1).
void BM_WatcherMemory(benchmark::State& state) {
    constexpr std::int64_t kWatchers = 100'000;
    for (auto _ : state) {
        Setup setup;
        auto& stream = setup.streams.emplace_back(setup.hub.open_stream(setup.sink));
        const std::size_t before = mallinfo2().uordblks;
        for (std::int64_t i = 0; i < kWatchers; ++i) {
            if (state.range(0) == 0) {
                stream->create({.key = "/registry/pods/", .range_end = "/registry/pods0"});
            } else {
                stream->create({.key = key_of(i)});
            }
            if (i % 64 == 63) setup.drain();
        }
        setup.drain();
        setup.taken = {};
        state.counters["bytes/watcher"] =
            static_cast<double>(mallinfo2().uordblks - before) / kWatchers;
    }
}

// Heap bytes of an idle stream with one watcher on a shared prefix.
void BM_StreamMemory(benchmark::State& state) {
    constexpr int kStreams = 10'000;
    for (auto _ : state) {
        Setup setup;
        setup.streams.reserve(kStreams);
        const std::size_t before = mallinfo2().uordblks;
        for (int i = 0; i < kStreams; ++i) {
            auto& stream = setup.streams.emplace_back(setup.hub.open_stream(setup.sink));
            stream->create({.key = "/registry/pods/", .range_end = "/registry/pods0"});
        }
        setup.publish(key_of(7));
        setup.drain();
        setup.taken = {};
        state.counters["bytes/stream"] =
            static_cast<double>(mallinfo2().uordblks - before) / kStreams;
    }
}

BENCHMARK(BM_PublishToPrefix)->Arg(1)->Arg(100)->Arg(10'000);
BENCHMARK(BM_PublishToOneOfManyKeys)->Arg(1)->Arg(100'000);
BENCHMARK(BM_PublishUnwatched)->Arg(0)->Arg(1);
BENCHMARK(BM_WatcherMemory)->Arg(0)->Arg(1)->Iterations(1);
BENCHMARK(BM_StreamMemory)->Iterations(1);

}  // namespace
}  // namespace sluice::etcd
