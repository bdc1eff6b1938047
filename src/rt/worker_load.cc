#include "rt/worker_load.h"

#include <fcntl.h>

#include <charconv>
#include <string>
#include <utility>

#include "base/syscall.h"
#include "rt/scheduler.h"

namespace sluice::rt {

WorkerLoadMeter::~WorkerLoadMeter() {
    for (const Seen& seen : seen_) {
        if (seen.schedstat_fd >= 0) sys::close(seen.schedstat_fd);
    }
}

std::optional<WorkerLoad> WorkerLoadMeter::take() {
    const Ticks now = scheduler_.ticks().now();
    const Ticks before = std::exchange(taken_at_, now);
    WorkerLoad load{.window_ns = scheduler_.ticks().to_ns(now - before), .queued = queued()};
    bool known = before != 0;
    for (const auto& worker : scheduler_.workers()) {
        Seen& seen = seen_[worker->index()];
        const bool is_new = seen.thread_id == 0;
        const std::optional<Spent> spent = read(*worker, seen, now);
        if (!spent) {
            known = known && worker->thread_id() == 0;  // it does not serve: nothing to count
            continue;
        }
        const Spent last = std::exchange(seen.spent, *spent);
        if (is_new) continue;
        const TimeNs cpu_ns = spent->cpu_ns - last.cpu_ns;
        load.cpu_ns += cpu_ns;
        load.blocked_ns += load.window_ns - cpu_ns - (spent->slept_ns - last.slept_ns) -
                           (spent->cpu_wait_ns - last.cpu_wait_ns);
    }
    if (!known) return {};
    return load;
}

std::optional<WorkerLoadMeter::Spent> WorkerLoadMeter::read(Worker& worker, Seen& seen, Ticks now) {
    if (seen.thread_id == 0 && !open(worker, seen)) return {};
    const std::optional<TimeNs> waited_ns = cpu_wait_ns(seen);
    const TimeNs cpu_ns = worker.capture().cpu_ns();
    if (!waited_ns || cpu_ns == 0) return {};  // it has ended
    const Processor& processor = worker.processor();
    Ticks slept = processor.counters.slept_ticks.get();
    const Ticks since = processor.asleep_since_ticks.load(std::memory_order_acquire);
    if (since != 0 && now > since) slept += now - since;
    return Spent{
        .slept_ns = scheduler_.ticks().to_ns(slept), .cpu_ns = cpu_ns, .cpu_wait_ns = *waited_ns};
}

bool WorkerLoadMeter::open(Worker& worker, Seen& seen) const {
    const int thread_id = worker.thread_id();
    if (thread_id == 0) return false;
    const std::string path = tasks_ + "/" + std::to_string(thread_id) + "/schedstat";
    seen.schedstat_fd = sys::open(path.c_str(), O_RDONLY, 0);
    if (seen.schedstat_fd < 0) return false;
    seen.thread_id = thread_id;
    return true;
}

// The second of three numbers: on a CPU, waiting for one, how often.
std::optional<TimeNs> WorkerLoadMeter::cpu_wait_ns(const Seen& seen) {
    std::array<char, 96> text{};
    const ssize_t bytes = sys::pread(seen.schedstat_fd, text.data(), text.size(), 0);
    if (bytes <= 0) return {};
    const char* const end = text.data() + bytes;
    TimeNs running = 0;
    TimeNs waiting = 0;
    const auto first = std::from_chars(text.data(), end, running);
    if (first.ec != std::errc() || first.ptr == end || running == 0) return {};
    const auto second = std::from_chars(first.ptr + 1, end, waiting);
    if (second.ec != std::errc()) return {};
    return waiting;
}

unsigned WorkerLoadMeter::queued() const noexcept {
    std::size_t count = scheduler_.global_queue().size_at_least();
    for (const auto& worker : scheduler_.workers()) count += worker->processor().queue.size();
    return static_cast<unsigned>(count);
}

}  // namespace sluice::rt
