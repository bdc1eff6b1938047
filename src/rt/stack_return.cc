// How the StackArena sees how deep its stacks went, and how it gives their memory back.
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "rt/stack_arena.h"

namespace sluice::rt {
namespace {

constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kRangesPerCall = 1024;  // UIO_MAXIOV
// Later than Debian 12's headers: the calling process, in place of a pidfd (Linux 6.15).
constexpr int kPidfdSelf = -10001;

// MADV_DONTNEED on all ranges by one call. False: the kernel is too old.
bool drop_pages(std::span<const iovec> ranges) noexcept {
    std::size_t bytes = 0;
    for (const iovec& range : ranges) bytes += range.iov_len;
    const long dropped =
        syscall(SYS_process_madvise, kPidfdSelf, ranges.data(), ranges.size(), MADV_DONTNEED, 0);
    return dropped == static_cast<long>(bytes);
}

}  // namespace

bool StackArena::tend(TimeNs now_ns) {
    FiberList unneeded;
    bool more = true;
    {
        const MutexLock lock(mutex_);
        if (surplus_.empty()) {
            window_end_ns_ = 0;
            return false;
        }
        if (window_end_ns_ == 0) {
            surplus_low_ = surplus_.size();
            window_end_ns_ = now_ns + limits::kStackSurplusNs;
        }
        if (now_ns < window_end_ns_) return true;
        const std::size_t some = std::min(surplus_low_, limits::kStackReturnSlots);
        for (std::size_t i = 0; i < some; ++i) unneeded.push_back(surplus_.pop_front());
        surplus_low_ -= some;
        if (surplus_low_ == 0) window_end_ns_ = 0;
        more = !surplus_.empty();
    }
    make_cold(std::move(unneeded));
    return more;
}

void StackArena::shrink() {
    FiberList all;
    {
        const MutexLock lock(mutex_);
        all.append(std::move(warm_));
        all.append(std::move(surplus_));
        surplus_low_ = 0;
    }
    make_cold(std::move(all));
}

void StackArena::make_cold(FiberList&& fibers) {
    if (fibers.empty()) return;
    std::vector<std::uint32_t> indices;
    indices.reserve(fibers.size());
    while (Fiber* fiber = fibers.pop_front()) {
        SLUICE_ASSERT(fiber->state() == FiberState::kFree);
        indices.push_back(fiber->slot_index_);
        fiber->context_.discard();
    }
    std::ranges::sort(indices);
    std::vector<Run> runs;
    for (const std::size_t index : indices) {
        const bool goes_on = !runs.empty() && runs.back().first + runs.back().count == index &&
                             index % kSlotsPerChunk != 0;
        if (!goes_on) runs.push_back({index, 0});
        ++runs.back().count;
    }
    for (const Run run : runs) (void)measure(run);
    return_memory(runs);
    returned_.fetch_add(indices.size(), std::memory_order_relaxed);
    const MutexLock lock(mutex_);
    cold_.insert(cold_.end(), indices.rbegin(), indices.rend());  // the lowest is used first
}

void StackArena::return_memory(std::span<const Run> runs) {
    std::array<iovec, kRangesPerCall> ranges;
    while (!runs.empty()) {
        const bool vectored = vectored_.load(std::memory_order_relaxed);
        const std::size_t some = std::min(runs.size(), vectored ? kRangesPerCall : 1);
        for (std::size_t i = 0; i < some; ++i) {
            ranges[i] = {slot_at(runs[i].first), runs[i].count * slot_bytes_};
        }
        return_calls_.fetch_add(1, std::memory_order_relaxed);
        if (!vectored || some == 1) {
            SLUICE_CHECK(madvise(ranges[0].iov_base, ranges[0].iov_len, MADV_DONTNEED) == 0);
        } else if (!drop_pages({ranges.data(), some})) {
            vectored_.store(false, std::memory_order_relaxed);
            continue;
        }
        runs = runs.subspan(some);
    }
}

std::size_t StackArena::touched_bytes(const Fiber& fiber) {
    return measure({fiber.slot_index_, 1});
}

// Of the deepest slot.
std::size_t StackArena::measure(Run run) {
    const std::size_t pages = slot_bytes_ / kPageBytes;
    std::vector<unsigned char> resident(run.count * pages);
    if (mincore(slot_at(run.first), run.count * slot_bytes_, resident.data()) != 0) return 0;
    std::size_t deepest = 0;
    for (std::size_t i = 0; i < run.count; ++i) {
        const auto slot = std::span(resident).subspan(i * pages, pages);
        // Not its guard, and only what is deeper than the deepest so far.
        const auto end = slot.end() - static_cast<std::ptrdiff_t>(deepest);
        const auto lowest =
            std::find_if(slot.begin() + 1, end, [](unsigned char page) { return (page & 1) != 0; });
        deepest = static_cast<std::size_t>(slot.end() - lowest);
    }
    raise_high_water(deepest * kPageBytes);
    return deepest * kPageBytes;
}

void StackArena::look() {
    const std::size_t count = carved();
    if (count == 0) return;
    std::size_t index = next_look_.load(std::memory_order_relaxed) % count;
    std::size_t left = std::min(count, limits::kStackLookSlots);
    while (left > 0) {
        const std::size_t to_end = std::min(count - index, kSlotsPerChunk - index % kSlotsPerChunk);
        const std::size_t some = std::min(left, to_end);
        (void)measure({index, some});
        left -= some;
        index = (index + some) % count;
    }
    next_look_.store(index, std::memory_order_relaxed);
}

void StackArena::refresh(Fiber& fiber) {
    (void)touched_bytes(fiber);
    const Bounds stack = bounds(&fiber);
    char* const fiber_page =
        stack.upper - reinterpret_cast<std::uintptr_t>(stack.upper) % kPageBytes;
    madvise(stack.lower, static_cast<std::size_t>(fiber_page - stack.lower), MADV_DONTNEED);
    fiber.measured_.store(true, std::memory_order_relaxed);
}

void StackArena::raise_high_water(std::size_t bytes) noexcept {
    std::size_t seen = high_water_bytes_.load(std::memory_order_relaxed);
    while (bytes > seen &&
           !high_water_bytes_.compare_exchange_weak(seen, bytes, std::memory_order_relaxed)) {
    }
}

StackArena::Figures StackArena::figures() const {
    const MutexLock lock(mutex_);
    return {.slots = carved(),
            .kept = warm_.size() + surplus_.size(),
            .cold = cold_.size(),
            .unguarded = unguarded(),
            .high_water_bytes = high_water_bytes_.load(std::memory_order_relaxed),
            .returned = returned_.load(std::memory_order_relaxed),
            .return_calls = return_calls_.load(std::memory_order_relaxed)};
}

}  // namespace sluice::rt
