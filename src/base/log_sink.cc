#include "base/log_sink.h"

#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <future>

#include "base/check.h"
#include "base/limits.h"

namespace sluice {
namespace {

// A reader of the log that has stopped reading must not keep a process alive that has to end.
constexpr std::int64_t kFlushTriesMax = limits::kShutdownDrainNs / limits::kLogFlushRetryNs;

// Stands behind the real sink and answers flush(): spdlog's asynchronous flush only queues one.
class FlushMark final : public spdlog::sinks::sink {
  public:
    explicit FlushMark(spdlog::sink_ptr next) : next_(std::move(next)) {}

    void log(const spdlog::details::log_msg& message) override { next_->log(message); }
    void flush() override {
        next_->flush();
        const std::lock_guard lock(mutex_);
        for (auto& waiter : waiters_) waiter.set_value();
        waiters_.clear();
    }
    void set_pattern(const std::string& pattern) override { next_->set_pattern(pattern); }
    void set_formatter(std::unique_ptr<spdlog::formatter> f) override {
        next_->set_formatter(std::move(f));
    }

    std::future<void> next_flush() {
        const std::lock_guard lock(mutex_);
        return waiters_.emplace_back().get_future();
    }

  private:
    spdlog::sink_ptr next_;
    std::mutex mutex_;  // guards waiters_
    std::vector<std::promise<void>> waiters_;
};

class SpdlogSink final : public AsyncLogSink {
  public:
    explicit SpdlogSink(spdlog::sink_ptr output)
        : mark_(std::make_shared<FlushMark>(std::move(output))),
          pool_(std::make_shared<spdlog::details::thread_pool>(limits::kLogQueueLines, 1)),
          logger_(std::make_shared<spdlog::async_logger>(
              "sluice", mark_, pool_, spdlog::async_overflow_policy::overrun_oldest)) {
        logger_->set_pattern("%v");
        logger_->set_level(spdlog::level::trace);
    }

    ~SpdlogSink() override {
        flush();
        pool_.reset();  // joins its thread, which still holds the logger
    }

    void write(std::string_view line) override {
        logger_->log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
    }

    void flush() override {
        auto done = mark_->next_flush();
        const std::chrono::nanoseconds pause(limits::kLogFlushRetryNs);
        // The request to flush is a queue entry like a line, and a burst may overrun it: ask again.
        for (std::int64_t tries = 0; tries < kFlushTriesMax; ++tries) {
            logger_->flush();
            if (done.wait_for(pause) == std::future_status::ready) return;
        }
    }

    std::uint64_t dropped() const override { return pool_->overrun_counter(); }

  private:
    std::shared_ptr<FlushMark> mark_;
    std::shared_ptr<spdlog::details::thread_pool> pool_;
    std::shared_ptr<spdlog::async_logger> logger_;
};

}  // namespace

Result<std::unique_ptr<AsyncLogSink>> open_log_sink(const std::string& output) {
    SLUICE_CHECK(!output.empty());
    try {
        spdlog::sink_ptr sink;
        if (output == "stderr") {
            sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
        } else if (output == "stdout") {
            sink = std::make_shared<spdlog::sinks::stdout_sink_mt>();
        } else {
            sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(output);
        }
        return std::make_unique<SpdlogSink>(std::move(sink));
    } catch (const spdlog::spdlog_ex& error) {
        return fail(Code::kInternal, fmt::format("cannot open the log output: {}", error.what()));
    }
}

void MemoryLogSink::write(std::string_view line) {
    const std::lock_guard lock(mutex_);
    lines_.emplace_back(line);
}

std::vector<std::string> MemoryLogSink::lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
}

}  // namespace sluice
