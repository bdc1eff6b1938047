#include "base/log.h"

#include <fmt/chrono.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <string>

#include "base/check.h"
#include "base/limits.h"

namespace sluice {
namespace {

constexpr std::array<std::string_view, 6> kLevelNames = {"debug", "info",  "warn",
                                                         "error", "panic", "fatal"};

void append(fmt::memory_buffer& out, std::string_view text) {
    out.append(text.data(), text.data() + text.size());
}

// The length of the UTF-8 sequence that begins at a byte above 0x7f; 0: it begins none.
std::size_t utf8_length(std::string_view text, std::size_t at) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const std::size_t length = lead >= 0xf0 && lead < 0xf5   ? 4
                               : lead >= 0xe0 && lead < 0xf0 ? 3
                               : lead >= 0xc2 && lead < 0xe0 ? 2
                                                             : 0;
    if (length == 0 || at + length > text.size()) return 0;
    for (std::size_t i = 1; i < length; ++i)
        if ((static_cast<unsigned char>(text[at + i]) & 0xc0) != 0x80) return 0;
    return length;
}

// RFC 8259, section 7. UTF-8 passes as it is; a byte that is not part of a sequence becomes the
// replacement character, so that the line stays valid JSON.
void append_string(fmt::memory_buffer& out, std::string_view text) {
    out.push_back('"');
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out.push_back('\\');
            out.push_back(c);
        } else if (c == '\n') {
            append(out, "\\n");
        } else if (byte < 0x20 || byte == 0x7f) {
            fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
        } else if (byte < 0x80) {
            out.push_back(c);
        } else if (const std::size_t length = utf8_length(text, i); length != 0) {
            append(out, text.substr(i, length));
            i += length - 1;
        } else {
            append(out, "\\ufffd");
        }
    }
    out.push_back('"');
}

void append_timestamp(fmt::memory_buffer& out, TimeNs wall_ns) {
    const std::time_t seconds = wall_ns / kSecond;
    fmt::format_to(std::back_inserter(out), "{:%FT%T}.{:06}Z", fmt::gmtime(seconds),
                   wall_ns % kSecond / kMicrosecond);
}

// The last two parts of the path, as zap shows them: "cli/serve.cc:40".
void append_caller(fmt::memory_buffer& out, const std::source_location& where) {
    std::string_view path = where.file_name();
    auto slash = path.rfind('/');
    if (slash != std::string_view::npos && slash > 0) slash = path.rfind('/', slash - 1);
    if (slash != std::string_view::npos) path.remove_prefix(slash + 1);
    fmt::format_to(std::back_inserter(out), "{}:{}", path, where.line());
}

void append_fields(fmt::memory_buffer& out, Logger::Fields fields, bool after_others) {
    for (const LogField& field : fields) {
        if (after_others) out.push_back(',');
        field.append_json(out);
        after_others = true;
    }
}

}  // namespace

std::string_view log_level_name(LogLevel level) noexcept {
    return kLevelNames[static_cast<std::size_t>(level)];
}

std::optional<LogLevel> parse_log_level(std::string_view name) noexcept {
    for (std::size_t i = 0; i < kLevelNames.size(); ++i)
        if (kLevelNames[i] == name) return static_cast<LogLevel>(i);
    return std::nullopt;
}

std::optional<LogFormat> parse_log_format(std::string_view name) noexcept {
    if (name == "json") return LogFormat::kJson;
    if (name == "console") return LogFormat::kConsole;
    return std::nullopt;
}

void LogField::append_json(fmt::memory_buffer& out) const {
    append_string(out, key_);
    out.push_back(':');
    const auto format = [&out](const auto& value) {
        using T = std::decay_t<decltype(value)>;
        auto end = std::back_inserter(out);
        if constexpr (std::is_same_v<T, std::string_view>) {
            append_string(out, value);
        } else if constexpr (std::is_same_v<T, Millis>) {
            fmt::format_to(end, "\"{:.3f}ms\"", static_cast<double>(value.value_ns) / 1e6);
        } else if constexpr (std::is_same_v<T, double>) {
            // JSON has no infinities: they are shown as strings.
            std::isfinite(value) ? fmt::format_to(end, "{}", value)
                                 : fmt::format_to(end, "\"{}\"", value);
        } else {
            fmt::format_to(end, "{}", value);
        }
    };
    std::visit(format, value_);
}

void Logger::log(LogLevel level, std::string_view message, Fields fields, Where where) const {
    if (!enabled(level)) return;
    fmt::memory_buffer line;
    if (format_ == LogFormat::kJson) {
        append(line, "{\"level\":\"");
        append(line, log_level_name(level));
        append(line, "\",\"ts\":\"");
        append_timestamp(line, clock_.wall_ns());
        append(line, "\",\"caller\":\"");
        append_caller(line, where);
        append(line, "\",\"msg\":");
        append_string(line, message);
        append_fields(line, fields, true);
        line.push_back('}');
    } else {
        append_timestamp(line, clock_.wall_ns());
        line.push_back('\t');
        append(line, log_level_name(level));
        line.push_back('\t');
        append_caller(line, where);
        line.push_back('\t');
        append(line, message);
        if (fields.size() > 0) {
            append(line, "\t{");
            append_fields(line, fields, false);
            line.push_back('}');
        }
    }
    if (line.size() > limits::kLogLineBytesMax) {
        line.resize(limits::kLogLineBytesMax);
        append(line, "...(cut)");
    }
    sink_.write(std::string_view(line.data(), line.size()));
}

void Logger::fatal(std::string_view m, Fields f, Where w) const {
    log(LogLevel::kFatal, m, f, w);
    sink_.flush();
    std::_Exit(1);
}

}  // namespace sluice
