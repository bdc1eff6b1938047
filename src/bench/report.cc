#include "bench/report.h"

#include <fmt/format.h>

namespace sluice::bench {
namespace {

double per_call_us(TimeNs total_ns, std::uint64_t calls) {
    return calls == 0 ? 0 : static_cast<double>(total_ns) / 1e3 / static_cast<double>(calls);
}

double seconds(TimeNs ns) {
    return static_cast<double>(ns) / 1e9;
}

double rate(const Report& report) {
    if (report.elapsed_ns <= 0) return 0;
    return static_cast<double>(report.calls) / seconds(report.elapsed_ns);
}

double millis(std::uint64_t ns) {
    return static_cast<double>(ns) / 1e6;
}

std::string describe(const Options& o) {
    std::string text = fmt::format("{}: {} clients on {} connections", workload_name(o.workload),
                                   o.clients, o.connections);
    if (o.workload == WorkloadKind::kWatch) text += fmt::format(", {} watchers", o.watchers);
    if (o.workload == WorkloadKind::kRange) text += fmt::format(", {} keys each", o.range_keys);
    if (o.workload == WorkloadKind::kEmpty) return text + ", " + o.method;
    if (o.workload == WorkloadKind::kGet || o.workload == WorkloadKind::kRange)
        text += o.serializable ? ", serializable" : ", linearizable";
    text += fmt::format(", {} B values", o.value_bytes);
    if (o.workload != WorkloadKind::kTxn && o.workload != WorkloadKind::kWatch)
        text += fmt::format(", {} keys ({})", o.keys, key_order_name(o.key_order));
    return text;
}

// For an error text inside JSON: what could end the string is replaced.
std::string plain(std::string_view text) {
    std::string result;
    for (const char c : text)
        result.push_back(c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20 ? '\'' : c);
    return result;
}

}  // namespace

std::string report_text(const Options& options, const Report& r) {
    const auto& h = r.latency;
    std::string text = fmt::format(
        "{}\n"
        "  rate      {:.0f} {}/s ({} in {:.2f} s)\n"
        "  latency   p50 {:.3f}  p90 {:.3f}  p99 {:.3f}  p99.9 {:.3f}  max {:.3f} ms\n"
        "  errors    {}{}\n"
        "  loader    {:.2f} us of CPU each, {:.0f}% of {} thread(s)\n",
        describe(options), rate(r), options.workload == WorkloadKind::kWatch ? "events" : "ops",
        r.calls, seconds(r.elapsed_ns), millis(h.percentile(50)), millis(h.percentile(90)),
        millis(h.percentile(99)), millis(h.percentile(99.9)), millis(h.max()), r.errors,
        r.errors == 0 ? "" : ", first: " + r.first_error, per_call_us(r.loader_cpu_ns, r.calls),
        r.elapsed_ns == 0
            ? 0
            : 100 * seconds(r.loader_cpu_ns) / seconds(r.elapsed_ns) / options.threads,
        options.threads);
    if (r.server_cpu_ns) {
        text += fmt::format("  server    {:.2f} us of CPU each, RSS {:.1f} MB (peak {:.1f} MB)\n",
                            per_call_us(*r.server_cpu_ns, r.calls),
                            static_cast<double>(r.server_rss_bytes) / 1e6,
                            static_cast<double>(r.server_rss_peak_bytes) / 1e6);
    }
    return text;
}

std::string report_json(const Options& o, const Report& r) {
    const auto& h = r.latency;
    std::string text = fmt::format(
        R"({{"workload":"{}","clients":{},"connections":{},"watchers":{},"serializable":{},)"
        R"("calls":{},"errors":{},"first_error":"{}","seconds":{:.6f},"rate":{:.1f},)"
        R"("p50_us":{:.3f},"p90_us":{:.3f},"p99_us":{:.3f},"p999_us":{:.3f},"max_us":{:.3f},)"
        R"("mean_us":{:.3f},"loader_cpu_us":{:.4f})",
        workload_name(o.workload), o.clients, o.connections, o.watchers, o.serializable, r.calls,
        r.errors, plain(r.first_error), seconds(r.elapsed_ns), rate(r),
        millis(h.percentile(50)) * 1e3, millis(h.percentile(90)) * 1e3,
        millis(h.percentile(99)) * 1e3, millis(h.percentile(99.9)) * 1e3, millis(h.max()) * 1e3,
        h.mean() / 1e3, per_call_us(r.loader_cpu_ns, r.calls));
    if (r.server_cpu_ns) {
        text += fmt::format(
            R"(,"server_cpu_us":{:.4f},"server_rss_bytes":{},"server_rss_peak_bytes":{})",
            per_call_us(*r.server_cpu_ns, r.calls), r.server_rss_bytes, r.server_rss_peak_bytes);
    }
    return text + "}\n";
}

}  // namespace sluice::bench
