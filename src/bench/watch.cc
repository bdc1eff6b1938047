#include "bench/watch.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/byte_order.h"
#include "base/check.h"
#include "bench/protobuf_wire.h"

namespace sluice::bench {
namespace {

// A value: when the put left, its sequence number, its writer; then padding.
constexpr std::size_t kStampBytes = 8 + 8 + 4;

struct Stamp {
    Ticks left;
    std::uint64_t sequence;
    std::uint32_t writer;
};

// The value of an mvccpb.Event's key-value (fields kv=2, value=5).
std::string_view event_value(std::string_view event) {
    for (Reader outer(event); outer.next();) {
        if (outer.field() != 2) continue;
        for (Reader inner(outer.bytes()); inner.next();)
            if (inner.field() == 5) return inner.bytes();
    }
    return {};
}

}  // namespace

WatchRun::WatchRun(const Options& options, Loop& loop, std::span<Connection* const> connections,
                   std::span<const http2::HeaderField> put_headers,
                   std::span<const http2::HeaderField> watch_headers)
    : options_(options),
      loop_(loop),
      put_headers_(put_headers),
      watch_headers_(watch_headers),
      prefix_(fmt::format("{}watch/{:x}/", options.key_prefix, options.run_id)),
      padding_(options.value_bytes > kStampBytes ? options.value_bytes - kStampBytes : 0, 'w') {
    SLUICE_CHECK(!connections.empty());
    const auto stream_count = options.watch_streams != 0
                                  ? options.watch_streams
                                  : static_cast<unsigned>(connections.size());
    for (unsigned i = 0; i < stream_count; ++i) {
        // Watchers are dealt out evenly; the first streams take what is left over.
        const unsigned share =
            options.watchers / stream_count + (i < options.watchers % stream_count ? 1 : 0);
        if (share == 0) break;
        loop.expect(share);
        auto& connection = *connections[i % connections.size()];
        streams_.push_back(std::make_unique<WatchStream>(*this, connection, share));
        const auto before = connection.on_usable;
        connection.on_usable = [before, stream = streams_.back().get()] {
            if (before) before();
            stream->start();
        };
    }
    for (unsigned i = 0; i < options.clients; ++i)
        writers_.push_back(
            std::make_unique<WatchWriter>(*this, *connections[i % connections.size()], i));
}

void WatchRun::start_writers() {
    for (auto& writer : writers_) writer->start();
}

void WatchRun::wrong(const std::string& what) {
    loop_.record_error(what);
    loop_.state().fail(what);
}

void WatchWriter::start() {
    run_.loop_.client_started();
    next();
}

void WatchWriter::next() {
    SLUICE_ASSERT(answered_ && unseen_ == 0);
    const Phase phase = run_.loop_.state().phase();
    if (!run_.loop_.state().admit(phase)) return run_.loop_.client_stopped();
    measured_ = phase == Phase::kMeasure;
    ++sequence_;
    answered_ = false;
    messages_ = 0;
    unseen_ = run_.options_.watchers;
    std::string value(kStampBytes, '\0');
    store_le64(value.data(), run_.loop_.now());
    store_le64(value.data() + 8, sequence_);
    store_le32(value.data() + 16, number_);
    value += run_.padding_;
    request_.clear();
    Writer writer(request_);
    writer.bytes(1, fmt::format("{}{}", run_.prefix_, number_));
    writer.bytes(2, value);
    if (!connection_.start(*this, run_.put_headers_, request_, true))
        run_.wrong("the server allows no further stream on this connection: use more");
}

void WatchWriter::seen(std::uint64_t sequence, Ticks left) {
    if (sequence != sequence_ || unseen_ == 0)
        return run_.wrong(fmt::format("an event of put {} after put {}", sequence, sequence_));
    --unseen_;
    if (measured_ && run_.loop_.state().phase() == Phase::kMeasure) run_.loop_.record(left);
    advance();
}

void WatchWriter::on_done(int grpc_status, std::string_view message) {
    if (run_.loop_.state().phase() == Phase::kStop && grpc_status != 0) return;
    if (grpc_status != 0 || messages_ != 1)
        return run_.wrong(fmt::format("put: grpc-status {}: {}", grpc_status, message));
    answered_ = true;
    advance();
}

void WatchWriter::advance() {
    if (answered_ && unseen_ == 0) next();
}

WatchStream::WatchStream(WatchRun& run, Connection& connection, unsigned watchers)
    : run_(run),
      connection_(connection),
      watchers_(watchers),
      last_sequence_(std::size_t{watchers} * run.options_.clients, 0) {}

void WatchStream::start() {
    std::string range_end = run_.prefix_;
    range_end.back() = static_cast<char>(range_end.back() + 1);
    std::string create, request;
    Writer fields(create);
    fields.bytes(1, run_.prefix_);
    fields.bytes(2, range_end);
    Writer(request).bytes(1, create);
    if (!connection_.start(*this, run_.watch_headers_, request, false))
        return run_.wrong("the server allows no further stream on this connection: use more");
    for (unsigned i = 1; i < watchers_; ++i) connection_.send(*this, request);
}

void WatchStream::on_message(std::string_view message) {
    std::uint64_t watch_id = 0;
    bool created = false, canceled = false;
    Reader reader(message);
    while (reader.next()) {
        if (reader.field() == 2) watch_id = reader.number();
        if (reader.field() == 3) created = reader.number() != 0;
        if (reader.field() == 4) canceled = reader.number() != 0;
        if (reader.field() == 11) on_event(watch_id, reader.bytes());
    }
    if (!reader.ok() || canceled) return run_.wrong("a watcher was cancelled or is malformed");
    if (!created) return;
    ++created_;
    if (created_ > watchers_) return run_.wrong("more watchers were created than asked for");
    run_.loop_.arrived();
}

void WatchStream::on_event(std::uint64_t watch_id, std::string_view event) {
    const std::string_view value = event_value(event);
    if (value.size() < kStampBytes || watch_id >= watchers_)
        return run_.wrong("an event that nobody wrote");
    const Stamp stamp{load_le64(value.data()), load_le64(value.data() + 8),
                      load_le32(value.data() + 16)};
    if (stamp.writer >= run_.writers_.size()) return run_.wrong("an event that nobody wrote");
    std::uint64_t& last = last_sequence_[watch_id * run_.writers_.size() + stamp.writer];
    if (stamp.sequence != last + 1)
        return run_.wrong(
            fmt::format("watcher {} saw put {} after {}", watch_id, stamp.sequence, last));
    last = stamp.sequence;
    run_.writers_[stamp.writer]->seen(stamp.sequence, stamp.left);
}

void WatchStream::on_done(int grpc_status, std::string_view message) {
    if (run_.loop_.state().phase() == Phase::kStop) return;
    run_.wrong(fmt::format("the watch stream ended: grpc-status {}: {}", grpc_status, message));
}

}  // namespace sluice::bench
