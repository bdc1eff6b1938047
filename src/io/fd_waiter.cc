#include "io/fd_waiter.h"

#include <utility>

#include "base/check.h"

namespace sluice::io {
namespace {

constexpr std::uint32_t kBits[2] = {kReadable, kWritable};
constexpr std::uint32_t kReady = 1;

}  // namespace

FdWaiter::~FdWaiter() {
    if (registered()) poller()->remove(*this);
    SpinGuard guard(lock_);
    for (const Direction& direction : directions_) SLUICE_CHECK(direction.waiter == nullptr);
}

Status FdWaiter::start() {
    return current_poller().add(*this, kReadable | kWritable);
}

void FdWaiter::on_ready(Watch& watch, std::uint32_t events) {
    auto& self = static_cast<FdWaiter&>(watch);
    sync::Waiter* claimed[2] = {};
    {
        SpinGuard guard(self.lock_);
        if ((events & kHangup) != 0) self.hung_up_ = true;
        for (int i = 0; i < 2; ++i) {
            if ((events & (kBits[i] | kHangup)) == 0) continue;
            Direction& direction = self.directions_[i];
            sync::Waiter* const waiter = std::exchange(direction.waiter, nullptr);
            if (waiter != nullptr && waiter->claim(kReady)) {
                claimed[i] = waiter;
            } else {
                direction.ready = true;
            }
        }
    }
    for (sync::Waiter* waiter : claimed) {
        if (waiter != nullptr) waiter->notify();
    }
}

Status FdWaiter::wait(std::uint32_t direction_bit, const sync::Context& context) {
    SLUICE_ASSERT(direction_bit == kReadable || direction_bit == kWritable);
    SLUICE_ASSERT(registered());
    rt::checkpoint();
    const int index = direction_bit == kReadable ? 0 : 1;
    sync::Waiter waiter;
    {
        SpinGuard guard(lock_);
        Direction& direction = directions_[index];
        // Not so for writing: a peer that has only closed its side still reads, and there may be no
        // space. If it has gone altogether, that has made the socket writable, too.
        const bool hung_up = hung_up_ && direction_bit == kReadable;
        if (std::exchange(direction.ready, false) || hung_up) return {};
        SLUICE_CHECK(direction.waiter == nullptr);
        direction.waiter = &waiter;
    }
    if (waiter.wait(context, rt::WaitReason::kIo, this) == kReady) return {};
    SpinGuard guard(lock_);
    directions_[index].waiter = nullptr;
    return context.status();
}

}  // namespace sluice::io
