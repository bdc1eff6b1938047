#include "io/readiness.h"

#include "base/check.h"

namespace sluice::io {

Poller& current_poller() {
    void* const poller = rt::current_poller().upper();
    SLUICE_CHECK(poller != nullptr);
    return *static_cast<Poller*>(poller);
}

}  // namespace sluice::io
