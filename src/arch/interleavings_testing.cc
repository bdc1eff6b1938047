#include "arch/interleavings_testing.h"

#include <algorithm>
#include <memory>
#include <unordered_map>
#include <utility>

#include "arch/switch.h"
#include "base/check.h"

namespace sluice::model {
namespace {

constexpr std::size_t kStackBytes = arch::kStackFactor * 128 * 1024;

struct Access {
    unsigned writer = 0;
    std::uint32_t written = 0;  // the writer's own time
    VectorClock read{};         // each thread's time of its last read
};

class Explorer {
  public:
    Report run(const std::function<Program()>& make, Bounds bounds);

    void step();
    void fail(std::string what);
    VectorClock& clock() { return clocks_[running_]; }
    void tick() { ++clocks_[running_][running_]; }
    void access(const void* address, bool write);

  private:
    struct Thread {
        arch::Context context;
        std::unique_ptr<std::byte[]> stack;
        const std::function<void()>* body = nullptr;
        bool ended = true;
    };
    struct Choice {
        unsigned taken;
        unsigned options;
    };

    static void thread_main(void* argument) noexcept SLUICE_UNINSTRUMENTED;
    void run_body(unsigned thread);
    void run_once(const Program& program, unsigned preemptions_max);
    unsigned choose(unsigned last, unsigned& preemptions_left);
    bool next_path();

    arch::Context main_;
    std::array<Thread, kThreadsMax + 1> threads_;  // [0] is not used
    std::array<VectorClock, kThreadsMax + 1> clocks_{};
    std::unordered_map<const void*, Access> accesses_;
    unsigned running_ = 0;  // 0: explore() itself
    std::vector<Choice> path_;
    std::size_t depth_ = 0;
    std::string schedule_;
    std::string failure_;
};

Explorer* explorer = nullptr;  // explore() is running; tests have one thread

void join(VectorClock& into, const VectorClock& from) {
    for (std::size_t i = 0; i < into.size(); ++i) into[i] = std::max(into[i], from[i]);
}

void Explorer::thread_main(void* argument) noexcept {
    arch::enter();
    auto* const self = static_cast<Explorer*>(argument);
    const unsigned thread = self->running_;
    self->run_body(thread);
    arch::switch_to(self->threads_[thread].context, self->main_, nullptr, true);
}

void Explorer::run_body(unsigned thread) {
    (*threads_[thread].body)();
    threads_[thread].ended = true;
}

void Explorer::step() {
    if (running_ == 0) return;
    arch::switch_to(threads_[running_].context, main_, nullptr);
}

void Explorer::fail(std::string what) {
    if (!failure_.empty()) return;
    failure_ = std::move(what) + ", schedule " + schedule_;
}

// Under ASan locals lie in fake frames, which another thread gets after one has ended: the same
// address is then not the same data. Locals are of no interest here.
bool in_fake_frame(const void* address) {
#if SLUICE_ASAN
    void* const stack = __asan_get_current_fake_stack();
    return stack != nullptr && __asan_addr_is_in_fake_stack(stack, const_cast<void*>(address),
                                                            nullptr, nullptr) != nullptr;
#else
    (void)address;
    return false;
#endif
}

void Explorer::access(const void* address, bool write) {
    if (in_fake_frame(address)) return;
    Access& last = accesses_[address];
    const VectorClock& now = clock();
    if (last.written > now[last.writer]) fail("unordered access after a write");
    if (!write) {
        last.read[running_] = now[running_];
        return;
    }
    for (unsigned t = 0; t <= kThreadsMax; ++t) {
        if (last.read[t] > now[t]) fail("unordered write after a read");
    }
    last = {.writer = running_, .written = now[running_]};
}

// The thread that makes the next step: as the path says, beyond its end the first option. The
// options are the last thread, if it has not ended, and then the others, which are preemptions.
unsigned Explorer::choose(unsigned last, unsigned& preemptions_left) {
    std::array<unsigned, kThreadsMax> options{};
    unsigned count = 0;
    const bool last_goes_on = last != 0 && !threads_[last].ended;
    if (last_goes_on) options[count++] = last;
    if (!last_goes_on || preemptions_left > 0) {
        for (unsigned t = 1; t <= kThreadsMax; ++t) {
            if (t != last && !threads_[t].ended) options[count++] = t;
        }
    }
    if (count == 0) return 0;
    if (depth_ == path_.size()) path_.push_back({0, count});
    SLUICE_CHECK(path_[depth_].options == count);  // else the program is not deterministic
    const unsigned chosen = options[path_[depth_++].taken];
    if (last_goes_on && chosen != last) --preemptions_left;
    return chosen;
}

void Explorer::run_once(const Program& program, unsigned preemptions_max) {
    SLUICE_CHECK(program.threads.size() <= kThreadsMax);
    for (unsigned t = 1; t <= program.threads.size(); ++t) {
        Thread& thread = threads_[t];
        if (!thread.stack) thread.stack = std::make_unique<std::byte[]>(kStackBytes);
        std::byte* const lower = thread.stack.get();
        arch::reuse_stack(lower, kStackBytes);
        const auto upper =
            reinterpret_cast<std::uintptr_t>(lower + kStackBytes) & ~std::uintptr_t{63};
        thread.context.prepare(lower, reinterpret_cast<void*>(upper), &Explorer::thread_main);
        thread.body = &program.threads[t - 1];
        thread.ended = false;
        clocks_[t] = clocks_[0];
        clocks_[t][t] = 1;
    }
    tick();
    unsigned preemptions_left = preemptions_max;
    unsigned last = 0;
    while (const unsigned next = choose(last, preemptions_left)) {
        last = running_ = next;
        schedule_ += static_cast<char>('0' + next);
        arch::switch_to(main_, threads_[next].context, this);
        running_ = 0;
    }
    for (const VectorClock& other : clocks_) join(clocks_[0], other);
    program.check();
}

// The next path in depth-first order; false if this was the last.
bool Explorer::next_path() {
    while (!path_.empty() && path_.back().taken + 1 == path_.back().options) path_.pop_back();
    if (path_.empty()) return false;
    ++path_.back().taken;
    return true;
}

Report Explorer::run(const std::function<Program()>& make, Bounds bounds) {
    main_.adopt_thread();
    Report report;
    do {
        depth_ = 0;
        schedule_.clear();
        accesses_.clear();
        clocks_ = {};
        clocks_[0][0] = 1;
        run_once(make(), bounds.preemptions_max);
        ++report.executions;
        report.complete = !next_path();
    } while (failure_.empty() && !report.complete && report.executions < bounds.executions_max);
    for (Thread& thread : threads_) thread.context.discard();
    report.failure = failure_;
    return report;
}

}  // namespace

Report explore(const std::function<Program()>& make, Bounds bounds) {
    SLUICE_CHECK(explorer == nullptr);
    Explorer running;
    explorer = &running;
    Report report = running.run(make, bounds);
    explorer = nullptr;
    return report;
}

void expect(bool condition, const char* what) {
    SLUICE_CHECK(explorer != nullptr);
    if (!condition) explorer->fail(what);
}

void reads(const void* address) {
    if (explorer != nullptr) explorer->access(address, false);
}

void writes(const void* address) {
    if (explorer != nullptr) explorer->access(address, true);
}

namespace detail {

void step() {
    if (explorer != nullptr) explorer->step();
}

void acquire(const VectorClock& sync) {
    if (explorer != nullptr) join(explorer->clock(), sync);
}

void release(VectorClock& sync, bool keep) {
    if (explorer == nullptr) return;
    if (!keep) sync = {};
    join(sync, explorer->clock());
    explorer->tick();
}

}  // namespace detail
}  // namespace sluice::model
