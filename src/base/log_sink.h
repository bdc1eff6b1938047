// Sinks for log lines (base/log.h).
//
// open_log_sink() gives the one that a server uses: lines go through a bounded queue
// (limits::kLogQueueLines) to one writer thread. When the queue is full the oldest line is dropped
// rather than the caller held up; dropped() counts them. flush() and the destructor wait until
// everything is written. Backed by spdlog's asynchronous logger, with an own thread pool and
// without spdlog's global registry.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/result.h"

namespace sluice {

// write() queues; flush() waits until all that was queued is written, but gives up after
// limits::kShutdownDrainNs where nobody takes it.
class AsyncLogSink : public LogSink {
  public:
    virtual std::uint64_t dropped() const = 0;
};

// output: "stderr", "stdout", or a path (appended to, created if missing).
Result<std::unique_ptr<AsyncLogSink>> open_log_sink(const std::string& output);

// Keeps the lines: for tests.
class MemoryLogSink final : public LogSink {
  public:
    void write(std::string_view line) override;
    void flush() override {}
    std::vector<std::string> lines() const;

  private:
    mutable std::mutex mutex_;  // guards lines_
    std::vector<std::string> lines_;
};

}  // namespace sluice
