#include "etcd/server/http_endpoints.h"

#include <fmt/core.h>

#include "base/limits.h"

namespace sluice::etcd {
namespace {

constexpr std::string_view kJson = "application/json";

// Whether the query has that parameter with that value.
bool has_parameter(std::string_view target, std::string_view name, std::string_view value) {
    const std::size_t mark = target.find('?');
    if (mark == std::string_view::npos) return false;
    std::string_view query = target.substr(mark + 1);
    while (!query.empty()) {
        const std::size_t end = std::min(query.find('&'), query.size());
        const std::string_view pair = query.substr(0, end);
        if (pair.starts_with(name) && pair.substr(name.size()) == fmt::format("={}", value)) {
            return true;
        }
        query.remove_prefix(std::min(end + 1, query.size()));
    }
    return false;
}

// Empty: healthy. Alarms that the query excludes do not count.
std::string why_unhealthy(ServiceParts& parts, std::string_view target) {
    for (const RaisedAlarm& alarm : parts.alarms.list(AlarmType::NONE)) {
        const std::string name = etcdserverpb::AlarmType_Name(alarm.type);
        if (!has_parameter(target, "exclude", name)) return fmt::format("ALARM {}", name);
    }
    const consensus::Node::View view = parts.node.view();
    if (view.leader_id == 0 || view.failed) return "RAFT NO LEADER";
    if (has_parameter(target, "serializable", "true")) return {};
    const TimeNs deadline = parts.clock.now_ns() + limits::kHealthCheckNs;
    const auto index = parts.node.read_index(deadline);
    if (!index) return fmt::format("RANGE ERROR:{}", index.error().message());
    const Status applied = parts.node.wait_applied(*index, deadline);
    if (!applied) return fmt::format("RANGE ERROR:{}", applied.error().message());
    return {};
}

net::HttpAnswer health(ServiceParts& parts, const http1::Request& request) {
    const std::string reason = why_unhealthy(parts, request.target);
    (reason.empty() ? parts.metrics.health_success : parts.metrics.health_failures).add();
    if (reason.empty()) {
        return {.content_type = std::string(kJson), .body = R"({"health":"true","reason":""})"};
    }
    // As etcd answers: plain text, with a newline.
    return {.status = 503,
            .body = fmt::format("{{\"health\":\"false\",\"reason\":\"{}\"}}\n", reason)};
}

net::HttpAnswer version() {
    return {.content_type = std::string(kJson),
            .body = fmt::format(R"({{"etcdserver":"{}","etcdcluster":"{}","storage":"{}"}})",
                                kEtcdVersion, kEtcdClusterVersion, kEtcdClusterVersion)};
}

}  // namespace

void add_http_endpoints(net::HttpRouter& router, ServiceParts& parts) {
    router.add("/health", http1::Method::kGet,
               [&parts](const http1::Request& request) { return health(parts, request); });
    router.add("/version", http1::Method::kGet, [](const http1::Request&) { return version(); });
}

}  // namespace sluice::etcd
