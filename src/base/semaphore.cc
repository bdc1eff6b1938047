#include "base/semaphore.h"

#include <cerrno>

#include "base/check.h"
#include "base/syscall.h"

namespace sluice {

Semaphore::Semaphore() noexcept {
    SLUICE_CHECK(::sem_init(&semaphore_, /*shared=*/0, 0) == 0);
}

Semaphore::~Semaphore() {
    SLUICE_CHECK(::sem_destroy(&semaphore_) == 0);
}

void Semaphore::release() noexcept {
    SLUICE_CHECK(::sem_post(&semaphore_) == 0);
}

void Semaphore::acquire() noexcept {
    while (!acquire_for(3600 * kSecond)) {
    }
}

bool Semaphore::acquire_for(TimeNs timeout_ns) noexcept {
    SLUICE_ASSERT(timeout_ns >= 0 && timeout_ns < kNever);
    const int result = sys::sem_wait_for(semaphore_, timeout_ns);
    SLUICE_CHECK(result == 0 || result == -ETIMEDOUT);
    return result == 0;
}

}  // namespace sluice
