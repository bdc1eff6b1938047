#include "io/readiness.h"

#include "base/check.h"

namespace sluice::io {

Poller& current_poller() {
    auto* const poller = dynamic_cast<Poller*>(&rt::current_poller());
    SLUICE_CHECK(poller != nullptr);
    return *poller;
}

}  // namespace sluice::io
