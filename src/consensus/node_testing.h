// What tests and benches of the node share: a state machine in memory, a proposal that a fiber can
// wait for, and a file system whose fdatasync waits for the test.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/tick_clock.h"
#include "consensus/doorbell.h"
#include "consensus/node.h"
#include "io/file.h"
#include "io/forwarding_file_system.h"
#include "rt/runtime.h"

namespace sluice::consensus {

// A proposal that its fiber waits for. Destroy it after wait().
class Call final : public Proposal {
  public:
    explicit Call(std::string_view head_part, std::string_view body_part = {}) {
        head = head_part;
        body = body_part;
    }
    // Suspends. The index at which it was applied, or why it was dropped.
    Result<std::uint64_t> wait() {
        bell_.wait();
        if (error_) return fail(*error_);
        return index_;
    }
    void complete(std::uint64_t index) {
        index_ = index;
        bell_.ring();
    }
    void on_dropped(const Error& why) override {
        error_ = why;
        bell_.ring();
    }

  private:
    Doorbell bell_;
    std::uint64_t index_ = 0;
    std::optional<Error> error_;
};

// Keeps the payloads of the entries, in order; empty ones (a leader's first) as "".
class ListMachine : public StateMachine {
  public:
    std::uint64_t applied_index() const override { return applied; }
    void apply(std::span<const CommittedEntry> entries) override;
    void snapshot_due(std::uint64_t index) override {
        if (on_snapshot_due) on_snapshot_due(index);
    }
    void log_failed(const Error& why) override { failures.push_back(why); }

    std::uint64_t applied = 0;
    bool keep = true;  // the payloads
    std::vector<std::string> values;
    std::uint64_t batches = 0;
    std::vector<Error> failures;
    std::function<void(std::uint64_t)> on_snapshot_due;
};

// Passes everything on; while closed, an fdatasync waits in the kernel's place.
class GatedFileSystem final : public io::ForwardingFileSystem {
  public:
    using ForwardingFileSystem::ForwardingFileSystem;

    void close_gate();
    void open_gate();
    // Blocks until a thread stands at the closed gate.
    void wait_until_blocked();
    void pass();  // called by its files

    Result<std::unique_ptr<io::File>> open(const std::string& path, io::OpenMode mode) override;

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool closed_ = false;
    unsigned blocked_ = 0;
};

// Runs `body` as the main fiber of a runtime with this many workers.
void run_fibers(const std::function<void()>& body, unsigned workers = 2);

}  // namespace sluice::consensus
