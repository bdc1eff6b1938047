#include "net/http2/wire_program_testing.h"

#include <algorithm>
#include <utility>

#include "base/fuzz_input_testing.h"
#include "net/http2/hpack_integer.h"
#include "net/http2/session_testing.h"

namespace sluice::http2 {
namespace {

// Fewer frames than the smallest flood bucket holds: those are tested elsewhere.
constexpr std::size_t kActionsMax = 90;

const std::pair<std::string, std::string> kFields[] = {
    {":method", "POST"},
    {":scheme", "http"},
    {":path", "/s/m"},
    {":authority", "a"},
    {"te", "trailers"},
    {"content-type", "application/grpc"},
    {"content-length", "5"},
    {"content-length", "0"},
    {"content-length", "40000"},
    {":method", "CONNECT"},
    {":method", "OPTIONS"},
    {":path", "*"},
    {":path", ""},
    {":status", "200"},
    {":other", "x"},
    {"connection", "close"},
    {"te", "gzip"},
    {"host", "a"},
    {"Upper", "x"},
    {"x", std::string("\0", 1)},
    {"x", " blank"},
    {"", "x"},
    {"cookie", std::string(300, 'c')},
    {"large", std::string(5'000, 'l')},
    {"grpc-timeout", "1S"},
};
constexpr std::size_t kRequestFields = 4;  // the first ones make a request

class Compiler {
  public:
    explicit Compiler(std::string_view program) : input_(program) {}

    std::vector<Action> compile() {
        const std::uint8_t start = byte();
        if ((start & 1) == 0) bytes(std::string(kClientPreface));
        if ((start & 2) == 0) bytes(settings_frame({}));
        while (!input_.empty() && actions_.size() < kActionsMax) operation();
        return std::move(actions_);
    }

  private:
    std::uint8_t byte() { return input_.byte(); }
    std::uint32_t two() { return static_cast<std::uint32_t>(byte()) << 8 | byte(); }
    std::string take(std::size_t size) { return std::string(input_.take(size)); }
    // A number of the wire: small ones as they are, and the corners of 31 and 32 bits.
    std::uint32_t number() {
        static constexpr std::uint32_t kCorners[] = {
            0,          1,          2,           65'535,      16'383,     16'384,
            16'777'215, 16'777'216, 0x7fff'ffff, 0x8000'0000, 0xffff'ffff};
        const std::uint8_t choice = byte();
        return choice < std::size(kCorners) ? kCorners[choice] : two();
    }
    StreamId stream() {
        const std::uint8_t choice = byte();
        if (choice < 0xe0) return choice;
        if (choice < 0xf0) return last_id_;
        return choice == 0xff ? kStreamIdMax : 0;
    }

    void bytes(std::string text) { actions_.push_back({.bytes = std::move(text)}); }
    void act(Action::Kind kind, StreamId id, std::uint32_t amount) {
        actions_.push_back({.kind = kind, .stream = id, .amount = amount, .bytes = {}});
    }

    static std::string integer(std::uint32_t value, unsigned bytes) {
        std::string out;
        for (unsigned i = bytes; i-- > 0;) out += static_cast<char>(value >> (8 * i));
        return out;
    }

    // A payload of a fixed size, sometimes one byte off.
    static std::string off(std::string payload, std::uint8_t how) {
        if (how == 0xff) payload += 'x';
        if (how == 0xfe && !payload.empty()) payload.pop_back();
        return payload;
    }

    static void append_text(std::string& block, std::string_view text) {
        char size[kIntegerBytesMax];
        block.append(size, encode_integer(size, 0, 7, static_cast<std::uint32_t>(text.size())));
        block.append(text);
    }
    static void append_field(std::string& block, std::size_t index, std::uint8_t representation) {
        static constexpr char kLiterals[] = {0x00, 0x40, 0x10};  // plain, into the table, never
        const auto& [name, value] = kFields[index % std::size(kFields)];
        block += kLiterals[representation % std::size(kLiterals)];
        append_text(block, name);
        append_text(block, value);
    }

    std::string header_block(bool is_request) {
        std::string block;
        if (is_request)
            for (std::size_t i = 0; i < kRequestFields; ++i) append_field(block, i, 1);
        for (unsigned items = byte() % 8; items > 0; --items) {
            const std::uint8_t item = byte();
            if (item >= 0x80)
                block += static_cast<char>(item);  // an entry of a table
            else if (item == 0x7f)
                block += take(byte() % 16);
            else
                append_field(block, item, item / std::size(kFields));
        }
        return block;
    }

    // HEADERS and its CONTINUATIONs. Shape: END_STREAM, PADDED, PRIORITY, an old stream, not a
    // request's fields, three bits for the number of CONTINUATIONs.
    void headers() {
        const std::uint8_t shape = byte();
        StreamId id = last_id_ + 2;
        if ((shape & 8) != 0) id = stream();
        last_id_ = (shape & 8) == 0 ? id : last_id_;
        std::string block = header_block((shape & 16) == 0);
        const std::size_t parts = 1 + (shape >> 5);
        const std::size_t size = (block.size() + parts - 1) / parts;
        std::string payload;
        std::uint8_t padding = 0;
        std::uint8_t flags = shape & 1;
        if ((shape & 2) != 0) {
            flags |= kFlagPadded;
            padding = byte();
            payload += static_cast<char>(padding);
            if (padding > 0xf0) padding = 0;  // as if it were not there: too long for the frame
        }
        if ((shape & 4) != 0) {
            flags |= kFlagPriority;
            payload += integer(number(), 4) + static_cast<char>(byte());
        }
        payload += block.substr(0, size) + std::string(padding, '\0');
        if (parts == 1) flags |= kFlagEndHeaders;
        std::string out = frame(FrameType::kHeaders, flags, id, payload);
        for (std::size_t i = 1; i < parts; ++i) {
            const bool is_last = i + 1 == parts;
            const std::size_t from = std::min(i * size, block.size());
            out += frame(FrameType::kContinuation, is_last ? kFlagEndHeaders : 0, id,
                         block.substr(from, size));
        }
        bytes(std::move(out));
    }

    void data() {
        const std::uint8_t shape = byte();  // END_STREAM, PADDED, large
        const StreamId id = stream();
        std::string payload((shape & 4) != 0 ? two() % 16'500 : byte() % 32, 'd');
        if ((shape & 2) != 0) {
            const std::uint8_t padding = byte();
            if ((shape & 8) == 0) payload.append(padding, '\0');
            if (padding != 0xff) payload.insert(payload.begin(), static_cast<char>(padding));
        }
        const int flags = (shape & 1) | ((shape & 2) != 0 ? kFlagPadded : 0);
        bytes(frame(FrameType::kData, static_cast<std::uint8_t>(flags), id, payload));
    }

    void settings() {
        const std::uint8_t shape = byte();  // ACK, on a stream, then the number of entries
        std::string payload;
        for (unsigned entries = (shape >> 2) % 40; entries > 0; --entries) {
            const std::uint8_t id = byte() % 8;
            payload += integer(id, 2) + integer(number(), 4);
        }
        payload = off(std::move(payload), byte());
        bytes(frame(FrameType::kSettings, shape & 1, (shape & 2) != 0 ? stream() : 0, payload));
    }

    void any_frame() {
        const auto type = FrameType{byte()};
        const std::uint8_t flags = byte();
        const StreamId id = stream();
        bytes(frame(type, flags, id, take(byte() % 64)));
    }

    void operation() {
        switch (byte() % 16) {
            case 0:
            case 1:
                return headers();
            case 2:
            case 3:
                return data();
            case 4: {
                const StreamId id = stream();
                const std::string payload = integer(number(), 4) + static_cast<char>(byte());
                return bytes(frame(FrameType::kPriority, 0, id, off(payload, byte())));
            }
            case 5: {
                const StreamId id = stream();
                return bytes(frame(FrameType::kRstStream, 0, id, off(integer(byte(), 4), byte())));
            }
            case 6:
                return settings();
            case 7: {
                const std::uint8_t flags = byte();
                return bytes(frame(FrameType::kPing, flags & 1, (flags & 2) != 0 ? stream() : 0,
                                   off(std::string(8, static_cast<char>(flags)), byte())));
            }
            case 8: {
                const StreamId id = stream();
                return bytes(
                    frame(FrameType::kWindowUpdate, 0, id, off(integer(number(), 4), byte())));
            }
            case 9: {
                const std::string payload = integer(number(), 4) + integer(byte(), 4);
                return bytes(
                    frame(FrameType::kGoaway, 0, 0, off(payload + take(byte() % 8), byte())));
            }
            case 10:
                return any_frame();
            case 11:
                return act(Action::Kind::kRespond, stream(), 0);
            case 12:
                // Not empty: nghttp2 lets the trailers behind no payload wait for a window.
                return act(Action::Kind::kBody, stream(), two() * 4 + 1);
            case 13:
                return act(Action::Kind::kReset, stream(), 0);
            case 14:
                return act(Action::Kind::kConsume, stream(), two());
            default:
                return bytes(take(byte() % 16));
        }
    }

    FuzzInput input_;
    std::vector<Action> actions_;
    StreamId last_id_ = static_cast<StreamId>(-1);  // the first request opens stream 1
};

}  // namespace

std::vector<Action> compile_wire_program(std::string_view program) {
    return Compiler(program).compile();
}

}  // namespace sluice::http2
