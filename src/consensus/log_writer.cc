#include "consensus/log_writer.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "base/time_slice.h"
#include "rt/topology.h"

namespace sluice::consensus {
namespace {

// Above what a record adds to an entry's payload.
constexpr std::size_t kEntryOverheadBytes = 64;

// How many of the entries go into the next group.
std::size_t group_size(std::span<const LogEntry> entries) {
    std::size_t bytes = 0;
    std::size_t count = 0;
    for (const LogEntry& entry : entries) {
        bytes += entry.bytes() + kEntryOverheadBytes;
        if (count > 0 && bytes > limits::kWalGroupBytesMax) break;
        ++count;
    }
    return count;
}

}  // namespace

void LogWriter::Work::merge(Work& newer) {
    if (entries.empty())
        std::swap(entries, newer.entries);
    else
        entries.insert(entries.end(), newer.entries.begin(), newer.entries.end());
    if (newer.hard_state) hard_state = newer.hard_state;
    if (newer.configuration) configuration = std::move(newer.configuration);
    if (newer.snapshot) snapshot = newer.snapshot;
    release_to = std::max(release_to, newer.release_to);
    std::ranges::move(newer.after_persist, std::back_inserter(after_persist));
    newer.clear();
}

void LogWriter::Work::clear() {
    entries.clear();
    hard_state.reset();
    configuration.reset();
    snapshot.reset();
    release_to = 0;
    after_persist.clear();
}

LogWriter::LogWriter(std::unique_ptr<storage::Wal> wal, const TickClock& ticks, Doorbell& done,
                     const std::vector<unsigned>& cpus)
    : wal_(std::move(wal)), ticks_(ticks), done_bell_(done), thread_([this, cpus] {
          SLUICE_CHECK(rt::pin_thread(cpus));
          run();
      }) {}

LogWriter::~LogWriter() {
    SLUICE_CHECK(!thread_.joinable());
}

void LogWriter::submit(Work& work) {
    if (work.empty()) return;
    bool sleeping = false;
    {
        const std::lock_guard lock(mutex_);
        SLUICE_CHECK(!stopping_);
        sleeping = !writing_;
        waiting_.merge(work);
    }
    if (sleeping) wake_.notify_one();
}

void LogWriter::take_done(std::vector<Done>& out) {
    const std::lock_guard lock(mutex_);
    std::ranges::move(finished_, std::back_inserter(out));
    finished_.clear();
}

bool LogWriter::idle() const {
    const std::lock_guard lock(mutex_);
    return waiting_.empty() && !writing_ && finished_.empty();
}

void LogWriter::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
}

void LogWriter::run() {
    pthread_setname_np(pthread_self(), "log-writer");
    wish_short_slices();
    Work work;
    for (;;) {
        {
            std::unique_lock lock(mutex_);
            wake_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
            if (stopping_) return;
            writing_ = true;
            std::swap(work, waiting_);
        }
        write_all(work);
        work.clear();
    }
}

void LogWriter::write_all(Work& work) {
    if (failed_) return;
    std::span<const LogEntry> rest = work.entries;
    // The state goes first: an entry must not be durable before its term is.
    for (Work* state = &work;; state = nullptr) {
        const auto group = rest.first(group_size(rest));
        rest = rest.subspan(group.size());
        Done done;
        done.status = write_group(group, state, done);
        failed_ = !done.status.has_value();
        const bool last = rest.empty() || failed_;
        if (last && !failed_) done.after_persist = std::move(work.after_persist);
        publish(std::move(done), last);
        if (last) return;
    }
}

Status LogWriter::write_group(std::span<const LogEntry> entries, Work* state, Done& done) {
    storage::WalGroup group{.entries = entries};
    if (state != nullptr) {
        group.hard_state = state->hard_state ? &*state->hard_state : nullptr;
        group.configuration = state->configuration ? &*state->configuration : nullptr;
        group.snapshot = state->snapshot ? &*state->snapshot : nullptr;
    }
    done.stamps.write_started = ticks_.now();
    SLUICE_TRY(wal_->write(group));
    done.stamps.written = ticks_.now();
    SLUICE_TRY(wal_->sync());
    done.stamps.synced = ticks_.now();
    write_ticks_.record(done.stamps.written - done.stamps.write_started);
    fdatasync_ticks_.record(done.stamps.synced - done.stamps.written);
    group_entries_.record(entries.size());
    std::uint64_t bytes = 0;
    for (const LogEntry& entry : entries) bytes += entry.bytes();
    payload_bytes_.fetch_add(bytes, std::memory_order_relaxed);
    if (!entries.empty()) {
        done.last_index = done.stamps.last_index = entries.back().index;
        done.last_term = entries.back().term;
    }
    if (state != nullptr && state->release_to > 0) {
        SLUICE_TRY(wal_->release_prefix(state->release_to));
        done.released_to = state->release_to;
    }
    return {};
}

// Together with the last group's result, so that the reader of it finds the writer idle.
void LogWriter::publish(Done done, bool last) {
    {
        const std::lock_guard lock(mutex_);
        finished_.push_back(std::move(done));
        if (last) writing_ = false;
    }
    done_bell_.ring();
}

}  // namespace sluice::consensus
