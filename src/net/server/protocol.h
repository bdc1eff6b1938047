// What a Connection (net/server/connection.h) drives: one protocol's state for one connection.
//
// Every call is made in the connection's turn: by one fiber at a time, which must not suspend
// meanwhile. The protocol appends its output to Connection::output(); the connection writes it.
#pragma once

#include <memory>
#include <string_view>

#include "base/clock.h"
#include "net/http2/header_block.h"

namespace sluice::net {

class Connection;

// Memory lent to a protocol while it parses; it means nothing between two turns.
struct TurnScratch {
    http2::Scratch headers;
};

class Protocol {
  public:
    virtual ~Protocol() = default;

    // Takes all of `bytes`. False: the connection is over; what is in the output is still sent.
    virtual bool feed(std::string_view bytes, TimeNs now, TurnScratch& scratch) = 0;
    // Moves what waits into the output, as far as that has room.
    virtual void produce(TimeNs now) = 0;
    // The turn's write is over: the kernel has taken of the output what it would.
    virtual void written() {}
    // False while the peer must first take what it is owed: nothing is read until then.
    virtual bool wants_input() const = 0;
    // Begins a graceful end; closed once finished() is true and the output is written.
    virtual void drain(TimeNs now) = 0;
    // The peer sends no more, but may still read (it has shut down its sending side). Requests that
    // are complete are answered; when they are, finished() turns true.
    virtual void input_ended(TimeNs now) = 0;
    // Nothing more will be sent or received. Asked after each turn.
    virtual bool finished() const = 0;
    // A request is being served, so that silence of the peer is no fault of its own.
    virtual bool serving() const = 0;
    // Nothing has come for a while: gives memory back.
    virtual void trim() = 0;
    // True if ping() makes a living peer answer. Else a peer that is silent for the handshake's
    // timeout, with no request being served, is gone.
    virtual bool can_ping() const { return false; }
    virtual void ping() {}
    // The transport is gone: cancels every request. Called once; only posted work follows.
    virtual void closed() = 0;
};

// Makes the protocol that a connection's first bytes ask for.
class ProtocolFactory {
  public:
    virtual ~ProtocolFactory() = default;
    virtual std::unique_ptr<Protocol> http1(Connection& connection) = 0;
    virtual std::unique_ptr<Protocol> http2(Connection& connection, TimeNs now) = 0;
};

}  // namespace sluice::net
