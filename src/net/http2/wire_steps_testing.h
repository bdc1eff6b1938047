// Cuts a client's bytes into the steps in which two servers' reactions are compared: the preface, a
// frame, or a HEADERS frame with what must follow it (its CONTINUATIONs), because servers are free
// to judge a header block at its first frame or at its last.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http2/session_testing.h"

namespace sluice::http2 {

struct Step {
    std::string bytes;
    std::vector<SentFrame> frames;  // none: the preface, or what no frame can be made of
    bool is_first = false;          // of the connection, behind the preface

    const FrameHeader& header() const { return frames.front().header; }
    const std::string& payload() const { return frames.front().payload; }
    bool is(FrameType type) const { return !frames.empty() && header().type == type; }
    // The header block without padding and priority; none if the frames do not carry one.
    std::optional<std::string> header_block() const;
};

class Stepper {
  public:
    void append(std::string_view bytes) { bytes_ += bytes; }
    // The next step that is complete.
    std::optional<Step> next();

  private:
    Step cut(std::size_t size, std::vector<SentFrame> frames);

    std::string bytes_;
    bool has_preface_ = false;
    bool has_frame_ = false;
};

}  // namespace sluice::http2
