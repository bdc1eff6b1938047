#include "io/wake_event.h"

#include <sys/eventfd.h>

#include <cstdint>

#include "base/check.h"

namespace sluice::io {

WakeEvent::WakeEvent() : event_(sys::eventfd(0, EFD_NONBLOCK)) {
    SLUICE_CHECK(event_.valid());
}

void WakeEvent::signal() noexcept {
    state_.notify([this] {
        const std::uint64_t one = 1;
        const ssize_t written = sys::write(event_.get(), &one, sizeof one);
        SLUICE_CHECK(written == sizeof one);
    });
}

}  // namespace sluice::io
