// The lines of bench/vs/README.md on Boost.Fiber, which has no select, timers, contexts, pools or
// sockets of its own.
#include <boost/context/fiber.hpp>
#include <boost/fiber/all.hpp>
#include <functional>
#include <map>
#include <thread>
#include <vector>

#include "measure.h"

namespace {

namespace fibers = boost::fibers;
using vs::Options;

// A stack is a mapping or two, and a process may have 65,530 of them (vm.max_map_count).
constexpr std::int64_t kParkedMax = 20'000;

void check(bool holds) {
    if (!holds) std::abort();
}

void run_switch(const Options& options) {
    boost::context::fiber other([](boost::context::fiber&& main) {
        for (;;) main = std::move(main).resume();
        return std::move(main);
    });
    vs::measure(options, [&](std::int64_t n) {
        for (std::int64_t i = 0; i < n; i += 2) other = std::move(other).resume();
    });
    std::exit(0);  // the other side never ends by itself
}

void run_yield(const Options& options, int tasks) {
    vs::measure(options, [&](std::int64_t n) {
        std::vector<fibers::fiber> started;
        for (int t = 0; t < tasks; ++t) {
            started.emplace_back([&] {
                for (std::int64_t i = 0; i < n / tasks; ++i) boost::this_fiber::yield();
            });
        }
        for (fibers::fiber& fiber : started) fiber.join();
    });
}

void run_spawn(const Options& options, int batch) {
    vs::measure(options, [&](std::int64_t n) {
        std::vector<fibers::fiber> started;
        for (std::int64_t i = 0; i < n; i += batch) {
            for (int b = 0; b < batch; ++b) started.emplace_back([] {});
            for (fibers::fiber& fiber : started) fiber.join();
            started.clear();
        }
    });
}

void run_unbuffered(const Options& options) {
    vs::measure(options, [](std::int64_t n) {
        fibers::unbuffered_channel<std::int64_t> there;
        fibers::unbuffered_channel<std::int64_t> back;
        fibers::fiber other([&] {
            for (const std::int64_t message : there) back.push(message);
        });
        for (std::int64_t i = 0; i < n; ++i) {
            there.push(i);
            check(back.value_pop() == i);
        }
        there.close();
        other.join();
    });
}

void run_buffered(const Options& options) {
    vs::measure(options, [](std::int64_t n) {
        fibers::buffered_channel<std::int64_t> channel(1024);
        fibers::fiber producer([&] {
            for (std::int64_t i = 0; i < n; ++i) channel.push(i);
            channel.close();
        });
        std::int64_t received = 0;
        for (const std::int64_t message : channel) {
            check(message == received);
            ++received;
        }
        check(received == n);
        producer.join();
    });
}

void run_mutex(const Options& options, int tasks) {
    vs::measure(options, [&](std::int64_t n) {
        fibers::mutex mutex;
        std::int64_t count = 0;
        std::vector<fibers::fiber> started;
        for (int t = 0; t < tasks; ++t) {
            started.emplace_back([&] {
                for (std::int64_t i = 0; i < n / tasks; ++i) {
                    const std::lock_guard guard(mutex);
                    ++count;
                }
            });
        }
        for (fibers::fiber& fiber : started) fiber.join();
        check(count == n / tasks * tasks);
    });
}

void run_parked(Options options) {
    options.count = std::min(options.count, kParkedMax);
    const std::int64_t before_bytes = vs::rss_bytes();
    const std::int64_t wall_before_ns = vs::read_clock_ns(CLOCK_MONOTONIC);
    const std::int64_t cpu_before_ns = vs::read_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    fibers::mutex mutex;
    fibers::condition_variable changed;
    bool stop = false;
    std::int64_t waiting = 0;
    std::vector<fibers::fiber> started;
    for (std::int64_t i = 0; i < options.count; ++i) {
        started.emplace_back([&] {
            std::unique_lock lock(mutex);
            ++waiting;
            changed.wait(lock, [&] { return stop; });
        });
    }
    std::unique_lock lock(mutex);
    while (waiting < options.count) {
        lock.unlock();
        boost::this_fiber::yield();
        lock.lock();
    }
    vs::print(options, options.count, vs::read_clock_ns(CLOCK_MONOTONIC) - wall_before_ns,
              vs::read_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_before_ns,
              vs::rss_bytes() - before_bytes);
    stop = true;
    lock.unlock();
    changed.notify_all();
    for (fibers::fiber& fiber : started) fiber.join();
}

// Runs `line` on this thread, with the other workers' threads stealing beside it.
void run_on_workers(unsigned workers, const std::function<void()>& line) {
    if (workers == 1) return line();
    fibers::mutex mutex;
    fibers::condition_variable changed;
    bool ended = false;
    const auto join_in = [&] {
        fibers::use_scheduling_algorithm<fibers::algo::work_stealing>(workers, /*suspend=*/true);
    };
    std::vector<std::thread> threads;
    for (unsigned i = 1; i < workers; ++i) {
        threads.emplace_back([&] {
            join_in();
            std::unique_lock lock(mutex);
            changed.wait(lock, [&] { return ended; });
        });
    }
    join_in();
    line();
    {
        const std::lock_guard lock(mutex);
        ended = true;
    }
    changed.notify_all();
    for (std::thread& thread : threads) thread.join();
}

}  // namespace

int main(int argc, char** argv) {
    const Options options = vs::parse(argc, argv);
    const std::map<std::string, std::function<void()>> lines = {
        {"switch", [&] { run_switch(options); }},
        {"yield-2", [&] { run_yield(options, 2); }},
        {"yield-1000", [&] { run_yield(options, 1'000); }},
        {"spawn", [&] { run_spawn(options, 1); }},
        {"spawn-100", [&] { run_spawn(options, 100); }},
        {"unbuffered", [&] { run_unbuffered(options); }},
        {"buffered", [&] { run_buffered(options); }},
        {"mutex", [&] { run_mutex(options, 1); }},
        {"mutex-contended", [&] { run_mutex(options, 8); }},
        {"parked", [&] { run_parked(options); }},
    };
    const auto line = lines.find(options.line);
    if (line == lines.end()) return vs::kUnknownLine;
    run_on_workers(options.workers, line->second);
}
