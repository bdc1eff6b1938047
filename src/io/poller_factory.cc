#include "io/poller_factory.h"

#include <fmt/core.h>

#include "base/check.h"
#include "io/epoll_poller.h"
#include "io/uring_poller.h"

namespace sluice::io {
namespace {

std::unique_ptr<rt::Poller> make_epoll(unsigned) {
    return std::make_unique<EpollPoller>();
}

std::unique_ptr<rt::Poller> make_uring(unsigned) {
    auto poller = UringPoller::create();
    SLUICE_CHECK(poller.has_value());  // the probe has made one
    return std::move(*poller);
}

// Makes a ring and sends one wake-up through it.
Status probe_uring() {
    SLUICE_TRY_ASSIGN(const auto poller, UringPoller::create());
    poller->wake();
    poller->poll(kSecond);
    return {};
}

}  // namespace

Result<PollerFactory> make_poller_factory(std::string_view name) {
    if (name == "epoll") return make_epoll;
    if (name != "auto" && name != "io_uring") {
        return fail(Code::kInvalidArgument,
                    fmt::format("no poller is called \"{}\"; use auto, epoll or io_uring", name));
    }
    const Status usable = probe_uring();
    if (usable) return make_uring;
    if (name == "auto") return make_epoll;
    return fail(usable.error());
}

}  // namespace sluice::io
