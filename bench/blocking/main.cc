// Do calls that block stall the other tasks? 1,000 fibers make timed echo calls over TCP while 64
// fibers commit rows to SQLite databases of their own, each commit with its fsyncs.
//
//   blocking_bench none|pool|inline|apart SECONDS DIRECTORY
//
// none: no SQLite. pool: SQLite within rt::blocking(). inline: SQLite called by the fiber itself,
// on its worker. apart: by 64 threads of another process at the lowest priority: what the machine
// does to the echo calls when its disk and CPUs are busy, whatever the runtime does. Prints one
// JSON object: {"mode", "calls", "p50_us", "p99_us", "max_us", "commits"}. test/bench/blocking.py
// runs all in turn.
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/histogram.h"
#include "base/spin_lock.h"
#include "io/echo_testing.h"
#include "io/poller_factory.h"
#include "io/tcp_stream.h"
#include "rt/blocking.h"
#include "rt/timer.h"
#include "sync/group.h"

namespace {

using namespace sluice;  // a program, not a library

constexpr unsigned kWorkers = 2;
constexpr int kCallers = 1'000;
constexpr int kCommitters = 64;
constexpr std::size_t kMessageBytes = 64;
constexpr TimeNs kPauseNs = 200 * kMillisecond;  // of a caller between two calls, on average

enum class Mode { kNone, kPool, kInline, kApart };

class Database {
  public:
    explicit Database(const std::string& path) {
        SLUICE_CHECK(sqlite3_open(path.c_str(), &handle_) == SQLITE_OK);
        run("PRAGMA synchronous=FULL");
        run("CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT)");
    }
    ~Database() { sqlite3_close(handle_); }
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    void commit_row() {
        run("INSERT INTO rows (text) VALUES ('a row of some forty bytes, or so')");
    }

  private:
    void run(const char* sql) {
        SLUICE_CHECK(sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
    }
    sqlite3* handle_ = nullptr;
};

// The committers as threads of a process of their own, from now until stop().
class OtherProcess {
  public:
    explicit OtherProcess(const std::string& directory)
        : shared_(static_cast<Shared*>(::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                                              MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
        SLUICE_CHECK(shared_ != MAP_FAILED);
        child_ = ::fork();
        SLUICE_CHECK(child_ >= 0);
        if (child_ != 0) return;
        SLUICE_CHECK(::setpriority(PRIO_PROCESS, 0, 19) == 0);
        std::vector<std::thread> threads;
        for (int i = 0; i < kCommitters; ++i) {
            threads.emplace_back([this, path = directory + "/" + std::to_string(i)] {
                Database database(path);
                for (; !shared_->stopping; ++shared_->commits) database.commit_row();
            });
        }
        for (std::thread& thread : threads) thread.join();
        ::_exit(0);
    }
    ~OtherProcess() { ::munmap(shared_, sizeof(Shared)); }
    OtherProcess(const OtherProcess&) = delete;
    OtherProcess& operator=(const OtherProcess&) = delete;

    std::uint64_t stop() {
        const std::uint64_t commits = shared_->commits;
        shared_->stopping = true;
        SLUICE_CHECK(::waitpid(child_, nullptr, 0) == child_);
        return commits;
    }

  private:
    struct Shared {
        std::atomic<bool> stopping;
        std::atomic<std::uint64_t> commits;
    };
    Shared* const shared_;
    pid_t child_ = 0;
};

class Run {
  public:
    Run(Mode mode, TimeNs duration_ns, std::string directory)
        : mode_(mode), duration_ns_(duration_ns), directory_(std::move(directory)) {}

    void run() {
        SLUICE_CHECK(server_.start());
        sync::Group group(nullptr);
        until_ns_ = now_ns() + duration_ns_;
        if (mode_ == Mode::kPool || mode_ == Mode::kInline) {
            for (int i = 0; i < kCommitters; ++i) group.spawn([this, i] { commit(i); }, "commit");
        }
        for (int i = 0; i < kCallers; ++i) group.spawn([this, i] { call(i); }, "call");
        SLUICE_CHECK(group.wait());
        SLUICE_CHECK(server_.stop());
    }

    void add_commits(std::uint64_t commits) { commits_ += commits; }

    void print(const char* mode) const {
        const auto micros = [](std::uint64_t ns) { return static_cast<double>(ns) / 1e3; };
        std::printf(R"({"mode": "%s", "calls": %llu, "p50_us": %.1f, "p99_us": %.1f, )"
                    R"("max_us": %.1f, "commits": %llu})"
                    "\n",
                    mode, static_cast<unsigned long long>(latency_.count()),
                    micros(latency_.percentile(50)), micros(latency_.percentile(99)),
                    micros(latency_.max()), static_cast<unsigned long long>(commits_.load()));
    }

  private:
    static TimeNs now_ns() { return rt::Runtime::current().clock().now_ns(); }

    // A call that is due while its worker is kept busy is late from its due time on: the wait
    // belongs to its latency.
    void call(int number) {
        auto stream = io::TcpStream::connect(server_.address());
        SLUICE_CHECK(stream.has_value());
        std::mt19937_64 random(static_cast<std::uint64_t>(number));
        std::array<std::byte, kMessageBytes> message{};
        TimeNs due_ns = now_ns();
        for (;;) {
            due_ns += static_cast<TimeNs>(random() % static_cast<std::uint64_t>(2 * kPauseNs));
            if (due_ns >= until_ns_) return;
            rt::sleep_until(due_ns);
            SLUICE_CHECK((*stream)->write_all(message));
            SLUICE_CHECK((*stream)->read_all(message));
            const TimeNs took_ns = now_ns() - due_ns;
            const SpinGuard guard(lock_);
            latency_.record(static_cast<std::uint64_t>(took_ns));
        }
    }

    void commit(int number) {
        const auto here = [](auto&& body) { body(); };
        const auto on_pool = [](auto&& body) { rt::blocking(body); };
        const auto loop = [&](const auto& run_call) {
            std::unique_ptr<Database> database;
            run_call([&] {
                database = std::make_unique<Database>(directory_ + "/" + std::to_string(number));
            });
            while (now_ns() < until_ns_) {
                run_call([&] { database->commit_row(); });
                ++commits_;
                rt::yield();
            }
            run_call([&] { database.reset(); });
        };
        mode_ == Mode::kPool ? loop(on_pool) : loop(here);
    }

    const Mode mode_;
    const TimeNs duration_ns_;
    const std::string directory_;
    TimeNs until_ns_ = 0;
    io::EchoServer server_;
    SpinLock lock_;
    HdrHistogram latency_;  // written under the lock
    std::atomic<std::uint64_t> commits_{0};
};

}  // namespace

int main(int argc, char** argv) {
    const std::string name = argc == 4 ? argv[1] : "";
    const std::map<std::string, Mode> modes = {{"none", Mode::kNone},
                                               {"pool", Mode::kPool},
                                               {"inline", Mode::kInline},
                                               {"apart", Mode::kApart}};
    const auto mode = modes.find(name);
    if (mode == modes.end()) {
        std::fprintf(stderr, "usage: %s none|pool|inline|apart SECONDS DIRECTORY\n", argv[0]);
        return 2;
    }
    std::optional<OtherProcess> other;
    if (mode->second == Mode::kApart) other.emplace(argv[3]);  // before there are threads
    auto poller = io::make_poller_factory("auto");
    SLUICE_CHECK(poller.has_value());
    rt::Runtime runtime({.workers = kWorkers, .make_poller = *poller, .on_stall = [](auto&) {}});
    const auto duration_ns = static_cast<TimeNs>(std::atof(argv[2]) * 1e9);
    runtime.run([&] {
        Run run(mode->second, duration_ns, argv[3]);
        run.run();
        if (other) run.add_commits(other->stop());
        run.print(name.c_str());
    });
}
