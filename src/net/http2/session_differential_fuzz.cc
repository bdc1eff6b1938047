// Our server and nghttp2's side by side: the same bytes of a client and the same commands of an
// application give the same events, the same payload, the same resets and the same end of the
// connection, step by step, until the first end. Where the two may differ is listed, with reasons,
// in oracle_differences_testing.cc; what is not listed there aborts with both sides' reactions.
//   http2_session_differential_fuzz test/corpus/http2_session_differential_fuzz
//
// Input: a program of frames and commands (wire_program_testing.h). Flood limits are out of reach:
// a program has fewer frames than the smallest bucket has tokens.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/check.h"
#include "net/http2/nghttp2_server_testing.h"
#include "net/http2/oracle_differences_testing.h"
#include "net/http2/session_testing.h"
#include "net/http2/wire_program_testing.h"
#include "net/http2/wire_steps_testing.h"

namespace {

using namespace sluice;
using namespace sluice::http2;

constexpr std::uint32_t kStreamsMax = 4;
const HeaderField kHeaders[] = {HeaderField::text(":status", "200")};
const HeaderField kTrailers[] = {HeaderField::text("grpc-status", "0")};

SessionConfig config() {
    SessionConfig config;
    config.streams_max = kStreamsMax;
    // nghttp2's windows, and its rule for when to grant: after half of 65,535 bytes, rounded down.
    config.stream_window_bytes = kDefaultWindowBytes - 1;
    config.connection_window_bytes = kDefaultWindowBytes;
    config.output_turn_bytes = 1 << 20;
    return config;
}

class Comparison {
  public:
    Comparison() : ours_(Role::kServer, config()), theirs_(kStreamsMax) {
        ours_.consumes = false;
        ours_.take_bytes();
    }

    void run(std::string_view program) {
        for (const Action& action : compile_wire_program(program)) {
            if (is_over_) return;
            if (action.kind != Action::Kind::kBytes) {
                command(action);
                continue;
            }
            stepper_.append(action.bytes);
            while (const auto step = stepper_.next()) {
                take(*step);
                if (is_over_) return;
            }
        }
    }

  private:
    void take(const Step& step) {
        std::optional<HpackOracle::Pairs> list;
        if (step.is(FrameType::kHeaders))
            if (const auto block = step.header_block()) list = witness_.decode(*block);
        ours_.feed(step.bytes);
        ours_.session.produce(ours_.now);
        const Reaction ours = reaction(ours_.take_bytes(), ours_.take_events());
        Reaction theirs = reaction(theirs_.feed(step.bytes), std::exchange(theirs_.events, {}));
        if (theirs_.failure()) theirs.end = theirs_.failure();
        SLUICE_CHECK(ours.end.has_value() == ours_.session.is_closed());
        if (!is_equal_enough(ours, theirs)) {
            const std::string_view why = difference(step, ours, theirs, model_, kStreamsMax, list);
            if (why.empty()) report(step, ours, theirs);
            is_over_ = !is_about_closed(step);
        }
        if (ours.end || theirs.end) is_over_ = true;
        // nghttp2 reads no further when the peer has said goodbye and no stream is left.
        if (!theirs_.wants_input()) is_over_ = true;
        update_model(step, ours, theirs);
    }

    // Beside an end of the connection, what else was sent or told does not count.
    static bool is_equal_enough(const Reaction& ours, const Reaction& theirs) {
        if (ours.end || theirs.end) return ours.end == theirs.end;
        return ours == theirs;
    }
    bool is_about_closed(const Step& step) const { return model_.is_closed(step.header().stream); }

    void update_model(const Step& step, const Reaction& ours, const Reaction& theirs) {
        if (is_over_ || step.frames.empty()) return;
        const StreamId id = step.header().stream;
        const bool ends = step.header().has(kFlagEndStream);
        if (step.is(FrameType::kHeaders)) {
            const bool is_new = id > model_.highest;
            model_.highest = std::max(model_.highest, id);
            if (is_new && ours.events.starts_with("headers ")) {
                if (!ends) model_.open.insert(id);
                model_.unclosed.insert(id);
            } else if (ends) {
                model_.open.erase(id);
            }
        }
        if (step.is(FrameType::kData) && ends) model_.open.erase(id);
        if (step.is(FrameType::kSettings) && step.header().has(kFlagAck)) ++model_.settings_acks;
        if (step.is(FrameType::kGoaway))
            model_.goaway_id = load_be32(step.payload().data()) & kStreamIdMax;
        if (step.is(FrameType::kRstStream)) close(id);
        for (const auto& [stream, code] : ours.resets) close(stream);
        for (const auto& [stream, code] : theirs.resets) close(stream);
        for (const auto& [stream, bytes] : ours.data) body_left_ -= bytes;
        forget_closed();
    }

    void close(StreamId id) {
        model_.open.erase(id);
        model_.unclosed.erase(id);
        if (id == body_stream_) body_left_ = 0;
    }
    void forget_closed() {
        std::erase_if(model_.unclosed, [&](StreamId id) { return !ours_.session.is_open(id); });
    }

    // The application of both servers does something with a stream that it knows.
    void command(const Action& action) {
        const StreamId id = action.stream;
        const auto stream = static_cast<std::int32_t>(id);
        if (!ours_.session.is_open(id)) return;
        SLUICE_CHECK(model_.unclosed.contains(id));
        const bool is_answered = answered_.contains(id);
        std::string theirs;
        switch (action.kind) {
            case Action::Kind::kBytes:
                return;
            case Action::Kind::kRespond:
                if (is_answered) return;
                answered_.insert(id);
                ours_.session.send_headers(id, kHeaders, true);
                theirs = theirs_.respond(stream);
                break;
            case Action::Kind::kBody:
                // With two of them the order of their frames would decide who gets the window.
                if (is_answered || body_left_ > 0) return;
                answered_.insert(id);
                send_body(id, action.amount);
                theirs = theirs_.send_body(stream, action.amount);
                break;
            case Action::Kind::kReset:
                ours_.session.reset(id, ErrorCode::kCancel);
                theirs = theirs_.reset(stream);
                close(id);
                break;
            case Action::Kind::kConsume: {
                const std::size_t amount =
                    std::min<std::size_t>(action.amount, theirs_.unconsumed(stream));
                ours_.session.consume(id, amount);
                theirs = theirs_.consume(stream, amount);
                break;
            }
        }
        if (!ours_.session.is_open(id)) ours_.session.release(id);
        ours_.session.produce(ours_.now);
        // Of a stream that a command closes, only nghttp2 tells the application.
        Reaction mine = reaction(ours_.take_bytes(), {});
        Reaction other = reaction(theirs, {});
        // Only nghttp2 grants a window to a client that has ended the stream.
        const std::string grant = "WINDOW_UPDATE " + std::to_string(id) + " ";
        if (!model_.open.contains(id))
            std::erase_if(other.others,
                          [&](const auto& frame) { return frame.starts_with(grant); });
        // After a GOAWAY and the last stream nghttp2 grants nothing more, and stops.
        if (!theirs_.wants_input())
            std::erase_if(mine.others,
                          [](const auto& frame) { return frame.starts_with("WINDOW_UPDATE 0 "); });
        ours_.events.clear();
        theirs_.events.clear();
        for (const auto& [body, bytes] : mine.data) body_left_ -= bytes;
        if (mine != other) report({}, mine, other);
        if (!theirs_.wants_input()) is_over_ = true;
        forget_closed();
    }

    void send_body(StreamId id, std::uint32_t size) {
        body_stream_ = id;
        body_left_ = size;
        const std::string body(size, 'b');
        const DataPiece pieces[] = {DataPiece::copy(body)};
        ours_.session.send_headers(id, kHeaders, false);
        ours_.session.send_data(id, pieces, false);
        ours_.session.send_trailers(id, kTrailers);
    }

    static Reaction reaction(const std::string& sent, std::string events) {
        Reaction reaction;
        reaction.events = std::move(events);
        for (const SentFrame& frame : split_frames(sent)) {
            const StreamId id = frame.header.stream;
            if (frame.header.type == FrameType::kRstStream)
                reaction.resets[id] = ErrorCode{load_be32(frame.payload.data())};
            else if (frame.header.type == FrameType::kGoaway)
                reaction.end = ErrorCode{load_be32(frame.payload.data() + 4)};
            else if (frame.header.type != FrameType::kData)
                reaction.others.insert(describe({frame}) + answer_of(frame));
            else if (frame.header.length > 0)
                reaction.data[id] += frame.header.length;
        }
        return reaction;
    }
    static std::string answer_of(const SentFrame& frame) {
        return frame.header.type == FrameType::kPing ? frame.payload : std::string();
    }

    [[noreturn]] static void report(const Step& step, const Reaction& ours,
                                    const Reaction& theirs) {
        std::fprintf(stderr, "step of %zu bytes: %s\n", step.bytes.size(),
                     describe(step.frames).c_str());
        for (const SentFrame& frame : step.frames)
            std::fprintf(stderr, "  frame type %d flags %02x stream %u length %u\n",
                         static_cast<int>(frame.header.type), frame.header.flags,
                         frame.header.stream, frame.header.length);
        print("ours", ours);
        print("nghttp2", theirs);
        std::abort();
    }
    static void print(const char* who, const Reaction& reaction) {
        std::string text;
        if (reaction.end) text += "END " + std::string(error_code_name(*reaction.end)) + "; ";
        for (const auto& [id, code] : reaction.resets)
            text += "RESET " + std::to_string(id) + " " + std::string(error_code_name(code)) + "; ";
        for (const auto& [id, bytes] : reaction.data)
            text += "DATA " + std::to_string(id) + " " + std::to_string(bytes) + "; ";
        for (const std::string& other : reaction.others) text += other;
        std::fprintf(stderr, "%s: %s| %s\n", who, text.c_str(), reaction.events.c_str());
    }

    SessionBox ours_;
    Nghttp2Server theirs_;
    HpackOracle witness_;
    Stepper stepper_;
    ConnectionModel model_;
    std::set<StreamId> answered_;
    StreamId body_stream_ = 0;
    std::size_t body_left_ = 0;
    bool is_over_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Comparison().run({reinterpret_cast<const char*>(data), size});
    return 0;
}
