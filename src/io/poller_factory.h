// Chooses the poller: the one line that connects io to the runtime.
//
//   auto factory = io::make_poller_factory("auto");
//   if (!factory) return fail(factory.error());
//   rt::Runtime runtime({.workers = 2, .make_poller = *factory, ...});
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "base/result.h"
#include "rt/poller.h"

namespace sluice::io {

using PollerFactory = std::function<std::unique_ptr<rt::Poller>(unsigned worker)>;

// "io_uring", "epoll", or "auto": io_uring if the kernel lets us, else epoll. Probes once, now, by
// making a ring and waking it. kInvalidArgument: another name; kUnavailable: io_uring was demanded
// and is forbidden or too old (below Linux 5.13).
Result<PollerFactory> make_poller_factory(std::string_view name);

}  // namespace sluice::io
