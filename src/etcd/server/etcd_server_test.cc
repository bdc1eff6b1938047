// The whole server, in a runtime of the test's own.
#include "etcd/server/etcd_server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/log_sink.h"
#include "base/temporary_dir_testing.h"
#include "io/poller_factory.h"
#include "io/posix_file_system.h"
#include "net/grpc/grpc_client_testing.h"
#include "proto/etcdserverpb/kv.pb.h"
#include "rt/runtime.h"
#include "rt/scheduler.h"
#include "rt/timer.h"

namespace sluice::etcd {
namespace {

// Only for giving up: no test asserts a time.
constexpr TimeNs kGiveUpNs = 60 * kSecond;

EtcdServerOptions server_options(std::string data_dir) {
    EtcdServerOptions options;
    options.service.name = "default";
    options.service.peer_urls = {"http://localhost:2380"};
    options.listen = {io::Address::loopback(0)};
    options.data_dir = std::move(data_dir);
    return options;
}

// A server with an empty data directory. All but run() is for its body.
class ServerWorld {
  public:
    explicit ServerWorld(rt::Options options)
        : runtime_(std::move(options)),
          server_(server_options(directory_.path("data")),
                  {*files_, clock_, ticks_, log_, metrics_, http_, runtime_.worker_slots()}) {}

    // `body` on a fiber, while the server serves.
    void run(const std::function<void()>& body) {
        const Status opened = server_.open();
        ASSERT_TRUE(opened) << opened.error().message();
        runtime_.run([&] {
            const Status started = server_.start();
            EXPECT_TRUE(started);
            if (started) body();
            server_.stop(clock_.now_ns());
        });
    }

    rt::Runtime& runtime() { return runtime_; }
    std::uint16_t port() const { return server_.addresses().at(0).port(); }

    // Keeps the worker, without a checkpoint. False if `done` never came.
    bool compute_until(const std::function<bool()>& done) const {
        const TimeNs end_ns = clock_.now_ns() + kGiveUpNs;
        while (!done()) {
            if (clock_.now_ns() > end_ns) return false;
        }
        return true;
    }

  private:
    TemporaryDir directory_;
    std::unique_ptr<io::FileSystem> files_ = io::make_posix_file_system();
    SystemClock clock_;
    TickClock ticks_{clock_};
    MemoryLogSink sink_;
    Logger log_{sink_, clock_, LogLevel::kWarn, LogFormat::kJson};
    metrics::Registry metrics_;
    net::HttpRouter http_;
    rt::Runtime runtime_;
    EtcdServer server_;
};

// The answer's revision; 0 if it was refused.
std::int64_t put(grpc::TestClient& client, const std::string& key) {
    etcdserverpb::PutRequest request;
    request.set_key(key);
    const grpc::TestReply& reply = client.call("/etcdserverpb.KV/Put", request.SerializeAsString());
    etcdserverpb::PutResponse response;
    if (reply.status != "0" || reply.messages.size() != 1) return 0;
    if (!response.ParseFromString(reply.messages[0])) return 0;
    return response.header().revision();
}

class EtcdServerTest : public testing::TestWithParam<const char*> {};

// A put goes through everything that is kept by worker: the request's timeout, its time account.
TEST_P(EtcdServerTest, SpareWorkerServesWhileAllOthersAreStuck) {
    auto pollers = io::make_poller_factory(GetParam());
    ASSERT_TRUE(pollers);
    ServerWorld world({.workers = 2,
                       .make_poller = *pollers,
                       .on_stall = [](const rt::StallReport&) {},
                       .spare_workers_max = limits::kSpareWorkersMax,
                       .on_spare = [](unsigned) {}});
    ASSERT_EQ(world.runtime().worker_slots(), 2 + limits::kSpareWorkersMax);
    std::int64_t revision_before = 0;
    std::int64_t revision_while_stuck = 0;
    bool served = false;
    std::thread caller;
    world.run([&] {
        std::atomic<bool> connected = false;
        std::atomic<bool> other_left = false;
        std::atomic<int> stuck = 0;
        std::atomic<bool> answered = false;
        const auto get_stuck = [&] {
            ++stuck;
            return world.compute_until([&] { return answered.load(); });
        };
        caller = std::thread([&] {
            grpc::TestClient client(world.port());
            revision_before = put(client, "before");
            connected = true;
            while (stuck < 2 && !answered) std::this_thread::yield();
            revision_while_stuck = put(client, "while");
            answered = true;
        });
        while (!connected) rt::yield();
        rt::spawn([&] {
            (void)get_stuck();
            other_left = true;
        });
        (void)world.compute_until([&] { return stuck == 1; });
        served = get_stuck();
        while (!other_left) rt::yield();
        EXPECT_GE(world.runtime().stats().spare_workers, 1U);
    });
    caller.join();
    EXPECT_GT(revision_before, 0);
    EXPECT_EQ(revision_while_stuck, revision_before + 1);
    EXPECT_TRUE(served);
}

// Connections stay with their workers, of which all but one run no fibers any more.
TEST_P(EtcdServerTest, ConnectionsOfWorkersThatStandAsideAreServed) {
    constexpr unsigned kWorkers = 3;
    auto pollers = io::make_poller_factory(GetParam());
    ASSERT_TRUE(pollers);
    ServerWorld world(
        {.workers = kWorkers, .workers_min = 1, .make_poller = *pollers, .monitor = false});
    std::int64_t last_revision = 0;
    std::thread caller;
    constexpr int kRounds = 20;
    world.run([&] {
        rt::Scheduler& scheduler = world.runtime().scheduler();
        std::atomic<bool> done = false;
        caller = std::thread([&] {
            scheduler.set_active_workers(kWorkers);
            std::vector<std::unique_ptr<grpc::TestClient>> clients;
            for (unsigned i = 0; i < 2 * kWorkers; ++i) {
                clients.push_back(std::make_unique<grpc::TestClient>(world.port()));
                EXPECT_GT(put(*clients.back(), "first"), 0);
            }
            for (unsigned round = 0; round < kRounds; ++round) {
                scheduler.set_active_workers(1 + round % 2);
                for (const auto& client : clients) last_revision = put(*client, "key");
            }
            done = true;
        });
        while (!done) rt::sleep_for(kMillisecond);
    });
    caller.join();
    EXPECT_EQ(last_revision, 1 + 2 * kWorkers * (1 + kRounds));
}

INSTANTIATE_TEST_SUITE_P(Pollers, EtcdServerTest, testing::Values("epoll", "auto"));

}  // namespace
}  // namespace sluice::etcd
