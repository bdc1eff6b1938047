// The plain HTTP endpoints of a server: /health, /version, /metrics and the like.
//
//   HttpRouter router;
//   router.add("/version", http1::Method::kGet, [](const http1::Request&) {
//       return HttpAnswer{.content_type = "application/json", .body = version_json()};
//   });
//
// Filled at start-up, constant afterwards. A handler runs on a fiber of its own and may suspend;
// the request is valid until it returns.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http1/request_parser.h"

namespace sluice::net {

struct HttpAnswer {
    std::uint16_t status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body;
};

using HttpHandler = std::function<HttpAnswer(const http1::Request&)>;

class HttpRouter {
  public:
    // HEAD is answered wherever GET is.
    void add(std::string path, http1::Method method, HttpHandler handler);

    // 404 for an unknown path, 405 for a path that has other methods.
    HttpAnswer route(const http1::Request& request) const;

  private:
    struct Route {
        std::string path;
        http1::Method method;
        HttpHandler handler;
    };
    std::vector<Route> routes_;
};

}  // namespace sluice::net
