// What one call costs in the session alone: parse HEADERS + DATA, answer HEADERS + DATA + trailers.
// The same bytes are served by nghttp2's session beside it, with the options that make it fastest.
//
//   build/release/src/net/http2/http2_bench --benchmark_filter=Unary
#include <benchmark/benchmark.h>
#include <nghttp2/nghttp2.h>

#include <vector>

#include "net/http2/session_testing.h"

namespace sluice::http2 {
namespace {

constexpr std::size_t kRequestBytes = 306;  // 5 + 301, a put of a short key and 256 bytes
constexpr std::size_t kResponseBytes = 39;  // 5 + 34
constexpr unsigned kCalls = 1'000;          // whose bytes are made in advance

enum Shape { kIndexed, kWithTimeout };

void put_literal(std::string& block, char first, std::string_view name, std::string_view value) {
    block += first;
    block += static_cast<char>(name.size());
    block += name;
    block += static_cast<char>(value.size());
    block += value;
}

// A gRPC client's header block: everything inserted by the first call, and indexed later; with a
// timeout, which differs from call to call, each call inserts one field.
std::string call_block(unsigned call, Shape shape) {
    std::string block = "\x83\x86";
    if (call == 0) {
        put_literal(block, '\x40', ":path", "/etcdserverpb.KV/Put");
        put_literal(block, '\x40', ":authority", "127.0.0.1:2379");
        put_literal(block, '\x40', "content-type", "application/grpc");
        put_literal(block, '\x40', "user-agent", "grpc-go/1.60.1");
        put_literal(block, '\x40', "te", "trailers");
    } else {
        // The client keeps its table small by inserting again what falls out: here the five
        // fields stay reachable, `shift` inserts later.
        const unsigned shift = shape == kWithTimeout ? (call - 1) % 40 : 0;
        for (int age = 4; age >= 0; --age) block += static_cast<char>(0x80 | (62 + age + shift));
    }
    if (shape == kWithTimeout && call > 0) {
        if ((call - 1) % 40 == 39) {  // start again with a fresh table
            block = "\x20\x3f\xe1\x1f";
            return block + call_block(0, shape);
        }
        put_literal(block, '\x40', "grpc-timeout", std::to_string(4'000'000 + call) + "u");
    }
    return block;
}

std::vector<std::string> make_calls(Shape shape, StreamId first) {
    std::vector<std::string> calls;
    for (unsigned i = 0; i < kCalls; ++i) {
        const StreamId id = first + 2 * i;
        calls.push_back(
            frame(FrameType::kHeaders, kFlagEndHeaders, id, call_block(i, shape)) +
            frame(FrameType::kData, kFlagEndStream, id, std::string(kRequestBytes, 'r')));
    }
    return calls;
}

class EchoServer final : public SessionHandler {
  public:
    EchoServer()
        : status_(fields_.add(":status", "200")),
          type_(fields_.add("content-type", "application/grpc")),
          ok_(fields_.add("grpc-status", "0")),
          session_(Role::kServer, config_, *this, out_) {
        session_.start(0);
        feed(client_start());
    }
    ~EchoServer() override { session_.terminate(ErrorCode::kNoError); }

    void feed(std::string_view bytes) {
        if (session_.feed(bytes, 0, scratch_) != FeedResult::kContinue) std::abort();
        session_.produce(0);
    }
    std::size_t drain() {
        const std::size_t size = out_.size();
        out_.consume(size);
        return size;
    }

  private:
    void on_headers(StreamId id, void*, HeaderBlock& block, bool) override {
        if (block.tag() == 0) {
            if (block.find(HeaderId::kPath) == nullptr) std::abort();
            if (block.find(HeaderId::kGrpcTimeout) == nullptr) block.set_tag(7);
        }
        session_.set_user(id, this);
    }
    void on_data(StreamId id, void*, std::string_view bytes, bool end_stream) override {
        session_.consume(id, bytes.size());
        if (!end_stream) return;
        const HeaderField headers[] = {HeaderField::shared(status_), HeaderField::shared(type_)};
        const DataPiece pieces[] = {DataPiece::copy(kBody)};
        const HeaderField trailers[] = {HeaderField::shared(ok_)};
        session_.send_headers(id, headers, false);
        session_.send_data(id, pieces, false);
        session_.send_trailers(id, trailers);
        session_.release(id);
    }
    void on_writable(StreamId, void*) override {}
    void on_closed(StreamId id, void*, ErrorCode) override { session_.release(id); }

    static constexpr char kBytes[kResponseBytes] = {};
    static constexpr std::string_view kBody{kBytes, kResponseBytes};
    SharedFields fields_;
    SharedFieldId status_, type_, ok_;
    SessionConfig config_{.shared_fields = &fields_};
    OutputBuffer out_;
    Scratch scratch_;
    Session session_;
};

class NghttpServer {
  public:
    NghttpServer() {
        nghttp2_session_callbacks* callbacks = nullptr;
        nghttp2_session_callbacks_new(&callbacks);
        nghttp2_session_callbacks_set_on_header_callback(
            callbacks, [](nghttp2_session*, const nghttp2_frame*, const std::uint8_t*, std::size_t,
                          const std::uint8_t*, std::size_t, std::uint8_t, void*) { return 0; });
        nghttp2_session_callbacks_set_on_frame_recv_callback(
            callbacks, [](nghttp2_session* session, const nghttp2_frame* frame, void*) {
                if (frame->hd.type == NGHTTP2_DATA && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
                    answer(session, frame->hd.stream_id);
                return 0;
            });
        nghttp2_option* option = nullptr;
        nghttp2_option_new(&option);
        nghttp2_option_set_no_closed_streams(option, 1);
        nghttp2_session_server_new2(&session_, callbacks, nullptr, option);
        nghttp2_option_del(option);
        nghttp2_session_callbacks_del(callbacks);
        nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, nullptr, 0);
        feed(client_start());
    }
    ~NghttpServer() { nghttp2_session_del(session_); }

    void feed(std::string_view bytes) {
        const auto taken = nghttp2_session_mem_recv(
            session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
        if (taken != static_cast<ssize_t>(bytes.size())) std::abort();
    }
    std::size_t drain() {
        std::size_t size = 0;
        const std::uint8_t* data = nullptr;
        while (const ssize_t part = nghttp2_session_mem_send(session_, &data)) {
            if (part < 0) std::abort();
            size += static_cast<std::size_t>(part);
        }
        return size;
    }

  private:
    static nghttp2_nv field(std::string_view name, std::string_view value) {
        return {const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(name.data())),
                const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(value.data())),
                name.size(), value.size(),
                NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
    }
    static void answer(nghttp2_session* session, std::int32_t id) {
        const nghttp2_nv headers[] = {field(":status", "200"),
                                      field("content-type", "application/grpc")};
        nghttp2_data_provider body{};
        body.read_callback = [](nghttp2_session* s, std::int32_t stream, std::uint8_t* to,
                                std::size_t, std::uint32_t* flags, nghttp2_data_source*, void*) {
            std::memset(to, 0, kResponseBytes);
            *flags = NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
            const nghttp2_nv trailers[] = {field("grpc-status", "0")};
            nghttp2_submit_trailer(s, stream, trailers, 1);
            return static_cast<ssize_t>(kResponseBytes);
        };
        nghttp2_submit_response(session, id, headers, 2, &body);
    }

    nghttp2_session* session_ = nullptr;
};

// Serves the prepared calls again and again, on a new connection each time they are used up.
template <class Server>
void run(benchmark::State& state, Shape shape) {
    const std::vector<std::string> calls = make_calls(shape, 1);
    const auto batch = static_cast<unsigned>(state.range(0));
    std::vector<std::string> batches;
    for (unsigned i = 0; i < kCalls; i += batch) {
        batches.emplace_back();
        for (unsigned j = i; j < std::min(i + batch, kCalls); ++j) batches.back() += calls[j];
    }
    std::size_t sent = 0;
    while (state.KeepRunningBatch(kCalls)) {
        Server server;
        server.drain();
        for (const std::string& bytes : batches) {
            server.feed(bytes);
            sent += server.drain();
        }
    }
    state.SetItemsProcessed(state.iterations());
    state.counters["bytes_out"] =
        static_cast<double>(sent) / static_cast<double>(state.iterations());
}

void BM_Unary(benchmark::State& state) {
    run<EchoServer>(state, kIndexed);
}
void BM_UnaryWithTimeout(benchmark::State& state) {
    run<EchoServer>(state, kWithTimeout);
}
void BM_UnaryNghttp2(benchmark::State& state) {
    run<NghttpServer>(state, kIndexed);
}
void BM_UnaryWithTimeoutNghttp2(benchmark::State& state) {
    run<NghttpServer>(state, kWithTimeout);
}
BENCHMARK(BM_Unary)->Arg(1)->Arg(10)->Arg(100);
BENCHMARK(BM_UnaryNghttp2)->Arg(1)->Arg(10)->Arg(100);
BENCHMARK(BM_UnaryWithTimeout)->Arg(10);
BENCHMARK(BM_UnaryWithTimeoutNghttp2)->Arg(10);

}  // namespace
}  // namespace sluice::http2
