// Structured logs: a message that is a constant, and key/value fields beside it.
//
// A Logger is passed to whoever logs (there is no global one); it formats the line at once, in the
// caller's time, and hands it to a LogSink (base/log_sink.h), which never makes the caller wait for
// a disk or a terminal. Lines have etcd's shape, so that what reads its logs reads these:
//
//   json     {"level":"info","ts":"2026-11-21T09:02:33.000001Z","caller":"cli/serve.cc:40",
//             "msg":"ready to serve client requests","address":"127.0.0.1:2379"}
//   console  2026-11-21T09:02:33.000001Z <tab> info <tab> cli/serve.cc:40 <tab> msg <tab> {"k":"v"}
//
// May be called on any thread and any fiber; it does not suspend. Cost: a line that is below the
// level costs a comparison; one that is written about 0.3 us (base_bench: BM_LogLine) and the
// queue. A line longer than limits::kLogLineBytesMax is cut and ends with "...(cut)".
//
//   log.info("recovered the log", {{"entries", entries}, {"took", Millis(took_ns)}});
//   log.error("cannot open the data directory", {{"path", path}, {"error", error.message()}});
#pragma once

#include <fmt/format.h>

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <source_location>
#include <string_view>
#include <variant>

#include "base/clock.h"

namespace sluice {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarn, kError, kPanic, kFatal };
enum class LogFormat : std::uint8_t { kJson, kConsole };

// "debug", "info", "warn", "error", "panic", "fatal": etcd's --log-level values.
std::string_view log_level_name(LogLevel level) noexcept;
std::optional<LogLevel> parse_log_level(std::string_view name) noexcept;
std::optional<LogFormat> parse_log_format(std::string_view name) noexcept;

// A duration, shown in milliseconds as "1.234ms".
struct Millis {
    TimeNs value_ns;
};

// One field. Views are read before the logging call returns, so temporaries are fine.
class LogField {
  public:
    LogField(std::string_view key, std::string_view value) : key_(key), value_(value) {}
    LogField(std::string_view key, const char* value)
        : key_(key), value_(std::string_view(value)) {}
    LogField(std::string_view key, bool value) : key_(key), value_(value) {}
    LogField(std::string_view key, double value) : key_(key), value_(value) {}
    LogField(std::string_view key, Millis value) : key_(key), value_(value) {}
    template <std::signed_integral T>
    LogField(std::string_view key, T value) : key_(key), value_(std::int64_t{value}) {}
    template <std::unsigned_integral T>
    LogField(std::string_view key, T value) : key_(key), value_(std::uint64_t{value}) {}

    // Appends "key":value.
    void append_json(fmt::memory_buffer& out) const;

  private:
    std::string_view key_;
    std::variant<std::string_view, bool, double, Millis, std::int64_t, std::uint64_t> value_;
};

// Where finished lines go. write() may be called by several threads at once and must not wait.
class LogSink {
  public:
    virtual ~LogSink() = default;
    // `line` is without the newline.
    virtual void write(std::string_view line) = 0;
    // Returns when everything written before has left the process. May block.
    virtual void flush() = 0;
};

class Logger {
  public:
    using Fields = std::initializer_list<LogField>;
    using Where = std::source_location;

    // Keeps both references; they must outlive the logger.
    Logger(LogSink& sink, const Clock& clock, LogLevel level, LogFormat format)
        : sink_(sink), clock_(clock), level_(level), format_(format) {}

    bool enabled(LogLevel level) const noexcept { return level >= level_; }

    void log(LogLevel level, std::string_view message, Fields fields, Where where) const;

    void debug(std::string_view m, Fields f = {}, Where w = Where::current()) const {
        if (enabled(LogLevel::kDebug)) log(LogLevel::kDebug, m, f, w);
    }
    void info(std::string_view m, Fields f = {}, Where w = Where::current()) const {
        if (enabled(LogLevel::kInfo)) log(LogLevel::kInfo, m, f, w);
    }
    void warn(std::string_view m, Fields f = {}, Where w = Where::current()) const {
        if (enabled(LogLevel::kWarn)) log(LogLevel::kWarn, m, f, w);
    }
    void error(std::string_view m, Fields f = {}, Where w = Where::current()) const {
        if (enabled(LogLevel::kError)) log(LogLevel::kError, m, f, w);
    }
    // Writes, flushes and ends the process with exit status 1: a failed fdatasync, a corrupt log.
    [[noreturn]] void fatal(std::string_view m, Fields f = {}, Where w = Where::current()) const;

    void flush() const { sink_.flush(); }

  private:
    LogSink& sink_;
    const Clock& clock_;
    const LogLevel level_;
    const LogFormat format_;
};

}  // namespace sluice
