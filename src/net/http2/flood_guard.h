// Token buckets against peers that send much that is cheap to send and costs us work: rapid resets,
// PING, SETTINGS, PRIORITY, WINDOW_UPDATE and empty-frame floods. Bounds: base/limits.h.
//
// Every event of a kind takes a token; a kind without tokens means GOAWAY ENHANCE_YOUR_CALM. Tokens
// come back with time, and with work done for the peer (an answered call earns resets, sent DATA
// earns WINDOW_UPDATEs and PINGs), so that a busy honest client never runs out.
//
//   if (!guard.spend(Flood::kPing, now)) return connection_error(...);
//
// 32 bytes a connection. Single-threaded. Cost: a compare and a subtract.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/clock.h"
#include "base/limits.h"

namespace sluice::http2 {

enum class Flood : std::uint8_t {
    kResetReceived,
    kResetSent,
    kPing,
    kSettings,
    kPriority,
    kWindowUpdate,
    kEmptyFrame,
    kUnknownFrame,
    kCount,
};

// The constant text that a GOAWAY for this flood carries.
constexpr const char* flood_reason(Flood kind) noexcept {
    constexpr const char* kReasons[] = {"too many RST_STREAM",   "too many stream errors",
                                        "too many PING",         "too many SETTINGS",
                                        "too many PRIORITY",     "too many WINDOW_UPDATE",
                                        "too many empty frames", "too many unknown frames"};
    static_assert(std::size(kReasons) == static_cast<std::size_t>(Flood::kCount));
    return kReasons[static_cast<std::size_t>(kind)];
}

class FloodGuard {
  public:
    FloodGuard() noexcept {
        for (std::size_t i = 0; i < kKinds; ++i) tokens_[i] = kLimits[i].burst;
    }

    // Takes a token; false if there is none. `now` never goes back.
    bool spend(Flood kind, TimeNs now) noexcept {
        refill(now);
        std::uint16_t& tokens = tokens_[static_cast<std::size_t>(kind)];
        if (tokens == 0) return false;
        --tokens;
        return true;
    }

    void earn(Flood kind, std::uint16_t tokens) noexcept {
        const auto i = static_cast<std::size_t>(kind);
        tokens_[i] = static_cast<std::uint16_t>(
            std::min<std::uint32_t>(std::uint32_t{tokens_[i]} + tokens, kLimits[i].burst));
    }

  private:
    static constexpr std::size_t kKinds = static_cast<std::size_t>(Flood::kCount);
    static constexpr std::array<limits::FloodLimit, kKinds> kLimits = {
        limits::kFloodResetReceived, limits::kFloodResetSent,    limits::kFloodPing,
        limits::kFloodSettings,      limits::kFloodPriority,     limits::kFloodWindowUpdate,
        limits::kFloodEmptyFrame,    limits::kFloodUnknownFrame,
    };
    static constexpr TimeNs kRefillStep = kSecond / 10;  // every rate is a multiple of ten

    void refill(TimeNs now) noexcept {
        if (!started_) {
            started_ = true;
            refilled_ = now;
        }
        if (now - refilled_ < kRefillStep) return;
        const TimeNs steps = std::min<TimeNs>((now - refilled_) / kRefillStep, 10'000);
        for (std::size_t i = 0; i < kKinds; ++i) {
            const TimeNs more = tokens_[i] + steps * (kLimits[i].rate / 10);
            tokens_[i] = static_cast<std::uint16_t>(std::min<TimeNs>(more, kLimits[i].burst));
        }
        refilled_ = now - (now - refilled_) % kRefillStep;
    }

    TimeNs refilled_ = 0;
    std::array<std::uint16_t, kKinds> tokens_;
    bool started_ = false;
};

}  // namespace sluice::http2
