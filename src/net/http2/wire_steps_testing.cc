#include "net/http2/wire_steps_testing.h"

#include <algorithm>

#include "base/limits.h"

namespace sluice::http2 {

std::optional<std::string> Step::header_block() const {
    std::string_view first = payload();
    std::size_t padding = 0;
    if (header().has(kFlagPadded)) {
        if (first.empty()) return std::nullopt;
        padding = static_cast<std::uint8_t>(first.front());
        first.remove_prefix(1);
    }
    if (header().has(kFlagPriority)) {
        if (first.size() < kPriorityBytes) return std::nullopt;
        first.remove_prefix(kPriorityBytes);
    }
    if (padding > first.size()) return std::nullopt;
    first.remove_suffix(padding);
    std::string block(first);
    for (std::size_t i = 1; i < frames.size(); ++i) block += frames[i].payload;
    return block;
}

Step Stepper::cut(std::size_t size, std::vector<SentFrame> frames) {
    Step step{.bytes = bytes_.substr(0, size),
              .frames = std::move(frames),
              .is_first = has_preface_ && !has_frame_};
    bytes_.erase(0, size);
    has_frame_ = has_preface_;
    has_preface_ = true;
    return step;
}

std::optional<Step> Stepper::next() {
    if (!has_preface_) {
        const std::size_t known = std::min(bytes_.size(), kClientPreface.size());
        const bool is_bad = bytes_.substr(0, known) != kClientPreface.substr(0, known);
        if (!is_bad && known < kClientPreface.size()) return std::nullopt;
        return cut(known, {});
    }
    std::vector<SentFrame> frames;
    std::size_t at = 0;
    for (;;) {
        if (bytes_.size() < at + kFrameHeaderBytes) return std::nullopt;
        const FrameHeader header = load_frame_header(bytes_.data() + at);
        const bool is_too_long = header.length > limits::kHttp2FrameBytesMax;
        const std::size_t size = is_too_long ? 0 : header.length;
        at += kFrameHeaderBytes;
        if (bytes_.size() < at + size) return std::nullopt;
        frames.push_back({header, bytes_.substr(at, size)});
        at += size;
        const bool opens = header.type == FrameType::kHeaders && frames.size() == 1;
        const bool goes_on = opens || header.type == FrameType::kContinuation;
        if (is_too_long || !goes_on || header.has(kFlagEndHeaders)) return cut(at, frames);
        if (frames.front().header.type != FrameType::kHeaders) return cut(at, frames);
        if (header.stream != frames.front().header.stream) return cut(at, frames);
    }
}

}  // namespace sluice::http2
