// So many fibers that wait for the same event, and what is left when they have ended.
#include <atomic>
#include <cstdio>
#include <future>
#include <thread>

#include "modes.h"
#include "rt/blocking.h"
#include "rt/runtime.h"
#include "sync/event.h"
#include "sync/group.h"

namespace memory_bench {

using namespace sluice;  // a program, not a library

void park_fibers(std::size_t count, rt::StackClass stack) {
    rt::Runtime runtime({.workers = 2, .on_stall = [](auto&) {}});
    Usage before;
    Usage parked;
    std::promise<void> ended;
    // Watches from outside: the runtime must give memory back while nothing runs in it.
    std::int64_t back_ms = 0;
    std::promise<void> seen;
    std::thread watcher([&] {
        ended.get_future().wait();
        back_ms = wait_until_resident(before.resident + (parked.resident - before.resident) / 10);
        seen.set_value();
    });
    runtime.run([&] {
        before = usage();
        sync::Event stop;
        std::atomic<std::size_t> started = 0;
        sync::Group group(nullptr);
        for (std::size_t i = 0; i < count; ++i) {
            group.spawn(
                [&] {
                    ++started;
                    (void)stop.wait();
                },
                {"parked", stack});
        }
        while (started < count) rt::yield();
        parked = usage();
        stop.set();
        (void)group.wait();
        ended.set_value();
        rt::blocking([&] { seen.get_future().wait(); });
    });
    watcher.join();
    const Usage after = usage();
    const rt::StackReport::Class report =
        runtime.stack_report().classes[static_cast<std::size_t>(stack)];
    std::printf(
        R"({"mode": "fibers", "stack": "%s", "count": %zu, "resident": %lld, )"
        R"("page_tables": %lld, "left": %lld, "back_ms": %lld, "high_water": %zu, )"
        R"("returned": %llu, "return_calls": %llu})"
        "\n",
        stack_class_name(stack), count, static_cast<long long>(parked.resident - before.resident),
        static_cast<long long>(parked.page_tables - before.page_tables),
        static_cast<long long>(after.resident - before.resident), static_cast<long long>(back_ms),
        report.high_water_bytes, static_cast<unsigned long long>(report.returned),
        static_cast<unsigned long long>(report.return_calls));
}

}  // namespace memory_bench
