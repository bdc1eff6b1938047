#include "net/server/http_router.h"

namespace sluice::net {

void HttpRouter::add(std::string path, http1::Method method, HttpHandler handler) {
    routes_.push_back({std::move(path), method, std::move(handler)});
}

HttpAnswer HttpRouter::route(const http1::Request& request) const {
    const http1::Method method =
        request.method == http1::Method::kHead ? http1::Method::kGet : request.method;
    bool path_known = false;
    for (const Route& route : routes_) {
        if (route.path != request.path()) continue;
        if (route.method == method) return route.handler(request);
        path_known = true;
    }
    if (path_known) return {.status = 405, .body = "Method Not Allowed\n"};
    return {.status = 404, .body = "404 page not found\n"};
}

}  // namespace sluice::net
