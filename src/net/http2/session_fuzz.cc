// A session fed with anything: no crash, bounded memory, whole frames out, and the same events and
// the same answers however the input is split.
//   http2_session_fuzz test/corpus/http2_session_fuzz
//
// Input: byte 0 bit 0 chooses the role, bits 1-3 what the handler does; bytes 1-2 seed the splits;
// the rest is what the peer sends after its preface and SETTINGS.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "net/http2/session_testing.h"

namespace {

using namespace sluice;
using namespace sluice::http2;

const HeaderField kHeaders[] = {HeaderField::text(":status", "200")};
const HeaderField kTrailers[] = {HeaderField::text("grpc-status", "0")};
const HeaderField kRequest[] = {HeaderField::text(":method", "POST"),
                                HeaderField::text(":scheme", "http"),
                                HeaderField::text(":path", "/")};

struct Plan {
    bool is_client;
    bool answers_at_once;  // with headers, before the request has ended
    bool answers_at_end;   // with payload and trailers
    bool resets;           // on the first payload
    std::uint16_t split;
};

void answer(Session& session, StreamId id, std::size_t size) {
    const std::string body(size, 'b');
    const DataPiece pieces[] = {DataPiece::copy(body)};
    session.send_headers(id, kHeaders, false);
    session.send_data(id, pieces, false);
    session.send_trailers(id, kTrailers);
    session.release(id);
}

// Everything that is visible of a run: events with the payload of each stream joined, and output.
std::string run(const Plan& plan, std::string_view input, bool whole) {
    SessionConfig config;
    config.streams_max = 8;
    config.stream_window_bytes = 20'000;
    config.connection_window_bytes = 70'000;
    config.stream_pending_bytes = 4'000;
    config.connection_pending_bytes = 8'000;
    SessionBox box(plan.is_client ? Role::kClient : Role::kServer, config);
    box.logs_data = false;
    box.consumes = false;  // when the rest is granted again would depend on the split
    std::string payload;
    box.when_data = [&](StreamId id, std::string_view bytes, bool end_stream) {
        // With a reset at the first part of a frame, how long that part is depends on the split.
        if (!plan.resets) payload += bytes;
        if (plan.is_client) return;
        if (plan.resets) {
            box.session.reset(id, ErrorCode::kCancel);
            box.session.release(id);
        } else if (end_stream && plan.answers_at_end) {
            answer(box.session, id, 30'000);
        }
    };
    box.when_headers = [&](StreamId id, HeaderBlock& block, bool end_stream) {
        if (plan.is_client) return;
        if (!block.is_trailers()) block.set_tag(1 + id);
        const bool now = plan.answers_at_once && !block.is_trailers();
        if (now || (end_stream && plan.answers_at_end)) answer(box.session, id, 100);
    };
    if (plan.is_client)
        for (int i = 0; i < 3; ++i) box.session.open(kRequest, i != 1);
    box.feed(plan.is_client ? settings_frame({}) : client_start());
    std::uint32_t random = plan.split;
    while (!input.empty()) {
        random = random * 1'103'515'245 + 12'345;
        const std::size_t size = whole ? input.size() : 1 + (random >> 16) % (1 + plan.split % 64);
        if (box.feed(input.substr(0, size)) == FeedResult::kClose) break;
        input.remove_prefix(std::min(size, input.size()));
        SLUICE_CHECK(box.session.memory_bytes() < 600'000);
        SLUICE_CHECK(box.session.streams() <= config.streams_max);
    }
    box.session.produce(box.now);
    const bool closed = box.session.is_closed();
    const std::string output = box.take_bytes();
    split_frames(output);  // asserts that it is whole frames
    box.releases_closed = true;
    box.session.terminate(ErrorCode::kNoError);
    return (closed ? "closed " : "open ") + box.events + "|" + payload + "|" + output;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 3) return 0;
    const Plan plan = {.is_client = (data[0] & 1) != 0,
                       .answers_at_once = (data[0] & 2) != 0,
                       .answers_at_end = (data[0] & 4) != 0,
                       .resets = (data[0] & 8) != 0,
                       .split = static_cast<std::uint16_t>(data[1] << 8 | data[2])};
    const std::string_view input(reinterpret_cast<const char*>(data) + 3, size - 3);
    SLUICE_CHECK(run(plan, input, true) == run(plan, input, false));
    return 0;
}
