#include "io/readiness.h"

#include "base/check.h"

namespace sluice::io {

void Poller::submit(Operation&) {
    SLUICE_CHECK(completes_operations());
}

void Poller::cancel(Operation&) noexcept {
    SLUICE_CHECK(completes_operations());
}

Poller* current_poller_or_null() {
    return static_cast<Poller*>(rt::current_poller().upper());
}

Poller& current_poller() {
    Poller* const poller = current_poller_or_null();
    SLUICE_CHECK(poller != nullptr);
    return *poller;
}

}  // namespace sluice::io
