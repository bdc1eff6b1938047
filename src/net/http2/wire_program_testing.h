// What a client does on a connection, as a fuzzer's input: each byte string is a program of frames
// (well-formed ones and others) and of actions of the server's application between them. So a
// mutation keeps lengths, padding and header blocks whole, and gets deep into the state machine.
//
//   for (const Action& action : compile_wire_program(program)) ...
//
// A program is a list of operations: one byte that chooses, and its arguments, each one or two
// bytes; what is missing at the end reads as 0. Every program is valid.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::http2 {

struct Action {
    enum class Kind : std::uint8_t {
        kBytes,    // the client sends `bytes`
        kRespond,  // the application answers the stream with headers that end it
        kBody,     // ... with headers, `amount` bytes and trailers
        kReset,    // the application resets the stream
        kConsume,  // the application is done with `amount` bytes of the stream's payload
    };
    Kind kind = Kind::kBytes;
    std::uint32_t stream = 0;
    std::uint32_t amount = 0;
    std::string bytes;
};

std::vector<Action> compile_wire_program(std::string_view program);

}  // namespace sluice::http2
