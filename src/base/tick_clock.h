// A clock for stamping: a raw counter that is read in a few nanoseconds, and its rate in real time.
//
// On x86-64 the counter is the time stamp counter, on aarch64 the virtual counter. The rate is
// measured against a Clock: the constructor spins for about half a millisecond, and recalibrate()
// later uses the whole time since then, so that the error falls with the age of the process. Clock
// and counter are read some times together, and the reading that took least counts: a thread that
// loses its CPU between the two does not spoil the rate.
// With Source::kClock the counter is the injected Clock itself (nanoseconds), which is what a
// simulated run needs, and what machines without an invariant counter fall back to.
//
// now() and to_ns() may be called on any thread and any fiber; they neither block nor suspend.
// Cost: now() 10 ns with the hardware counter (it is the instruction's own), to_ns() 1 ns
// (base_bench: BM_TickClockNow). Stamps taken on two processors compare within the kernel's own
// synchronisation of the counters; a difference below zero is reported as zero.
//
//   TickClock ticks(clock);
//   const Ticks start = ticks.now();
//   ...
//   const TimeNs took_ns = ticks.to_ns(ticks.now() - start);
#pragma once

#include <atomic>
#include <cstdint>

#include "base/clock.h"

namespace sluice {

using Ticks = std::uint64_t;

class TickClock {
  public:
    enum class Source : std::uint8_t { kHardware, kClock };

    // The hardware counter when this machine has an invariant one, else the clock.
    static Source best_source() noexcept;

    // Keeps `clock`, which must outlive this object.
    explicit TickClock(const Clock& clock, Source source = best_source());
    TickClock(const TickClock&) = delete;
    TickClock& operator=(const TickClock&) = delete;

    Ticks now() const noexcept {
        return source_ == Source::kHardware ? read_counter() : static_cast<Ticks>(clock_.now_ns());
    }

    // A difference of two stamps in nanoseconds. A negative difference counts as zero.
    TimeNs to_ns(Ticks difference) const noexcept {
        if (static_cast<std::int64_t>(difference) <= 0) return 0;
        const auto scaled = static_cast<unsigned __int128>(difference) *
                            ns_per_tick_q32_.load(std::memory_order_relaxed);
        return static_cast<TimeNs>(scaled >> 32);
    }

    // Measures the rate again over the time since construction. Any thread, one at a time; call it
    // now and then (a scrape of the metrics is a good moment).
    void recalibrate() noexcept;

    Source source() const noexcept { return source_; }

  private:
    struct Reading {
        TimeNs ns;
        Ticks ticks;
    };

    // The clock and the counter at the same moment.
    Reading read_both() const noexcept;

    static Ticks read_counter() noexcept {
#if defined(__x86_64__)
        return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
        Ticks value;
        asm volatile("mrs %0, cntvct_el0" : "=r"(value));
        return value;
#else
        return 0;
#endif
    }

    const Clock& clock_;
    const Source source_;
    Reading start_{};
    // Nanoseconds per tick as a 32.32 fixed-point number. Written by recalibrate(), read by
    // to_ns(); relaxed, as every value it ever holds is a good rate.
    std::atomic<std::uint64_t> ns_per_tick_q32_{std::uint64_t{1} << 32};
};

}  // namespace sluice
