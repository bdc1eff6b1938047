// What an idle connection keeps on the heap, counted by this program's own operator new.
//
// All that belongs to a connection comes from there: the connection, its protocol and tables, its
// entries in the poller's table and in the timers' heap. The kernel's sockets do not.
//
// Not under the thread sanitizer: its library brings an operator new and links beside no other.
#if !__has_feature(thread_sanitizer)

#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <new>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "net/grpc/grpc_testing.h"
#include "net/http2/session_testing.h"
#include "rt/backtrace.h"

namespace {

// Relaxed: a sum; the tests read it when nothing runs.
std::atomic<std::size_t> heap_bytes{0};

// With the allocator's rounding, and the word that malloc keeps before a block.
std::size_t cost(void* block) {
    return malloc_usable_size(block) + sizeof(std::size_t);
}

void* take(std::size_t size, std::size_t alignment) {
    void* const block =
        alignment <= alignof(std::max_align_t)
            ? std::malloc(size)
            : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    if (block == nullptr) std::abort();
    heap_bytes.fetch_add(cost(block), std::memory_order_relaxed);
    return block;
}

void give_back(void* block) {
    if (block == nullptr) return;
    heap_bytes.fetch_sub(cost(block), std::memory_order_relaxed);
    std::free(block);
}

}  // namespace

// The array, sized and nothrow forms of the library call these.
void* operator new(std::size_t size) {
    return take(size, 1);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    return take(size, static_cast<std::size_t>(alignment));
}
// The analyzer believes that the memory is free before the operator that frees it has run.
// NOLINTBEGIN(clang-analyzer-cplusplus.NewDelete)
void operator delete(void* block) noexcept {
    give_back(block);
}
void operator delete(void* block, std::size_t) noexcept {
    give_back(block);
}
void operator delete(void* block, std::align_val_t) noexcept {
    give_back(block);
}
void operator delete(void* block, std::size_t, std::align_val_t) noexcept {
    give_back(block);
}
// NOLINTEND(clang-analyzer-cplusplus.NewDelete)

namespace sluice::grpc {
namespace {

constexpr std::size_t kFirst = 64;  // with them comes what the server keeps once
constexpr std::size_t kConnections = 1'000;
constexpr std::size_t kBytesMax = 1'536;  // 1.5 KB

class Nobody final : public http2::SessionHandler {
    void on_headers(http2::StreamId, void*, http2::HeaderBlock&, bool) override {}
    void on_data(http2::StreamId, void*, std::string_view, bool) override {}
    void on_writable(http2::StreamId, void*) override {}
    void on_closed(http2::StreamId, void*, http2::ErrorCode) override {}
};

// The bytes of a client with one call, headers as grpc-go sends them.
std::string one_call() {
    http2::SharedFields shared;
    http2::SessionConfig config;
    config.shared_fields = &shared;
    std::vector<http2::HeaderField> fields;
    for (const auto& [name, value] : std::initializer_list<std::pair<const char*, const char*>>{
             {":method", "POST"},
             {":scheme", "http"},
             {":path", "/etcdserverpb.KV/Range"},
             {":authority", "etcd-0.etcd.default.svc.cluster.local:2379"},
             {"content-type", "application/grpc"},
             {"user-agent", "etcd-client/3.7.3 grpc-go/1.79.3"},
             {"te", "trailers"},
             {"grpc-timeout", "4999876u"}}) {
        fields.push_back(http2::HeaderField::shared(shared.add(name, value)));
    }
    Nobody nobody;
    http2::OutputBuffer out;
    http2::Session session(http2::Role::kClient, config, nobody, out);
    session.start(0);
    const http2::StreamId id = session.open(fields, false);
    const http2::DataPiece message = http2::DataPiece::copy({"\0\0\0\0\0", 5});
    session.send_data(id, {&message, 1}, true);
    session.produce(0);
    std::vector<iovec> parts(16);
    std::string bytes;
    const unsigned count = out.gather(parts);
    for (unsigned i = 0; i < count; ++i)
        bytes.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
    session.release(id);
    session.terminate(http2::ErrorCode::kNoError);
    return bytes;
}

// Once every connection has been asked for its buffers: the server's sweep ends with no turn left.
// Waits by time, as memory that is given back tells nobody.
std::size_t settled_heap_bytes(GrpcBox& box) {
    std::size_t before = 0;
    EXPECT_TRUE(box.server().eventually([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        return std::exchange(before, heap_bytes.load()) == heap_bytes.load();
    }));
    return before;
}

class IdleMemoryTest : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Pollers, IdleMemoryTest, testing::Values("epoll", "io_uring"));

// One call each, then quiet for as long as buffers are kept.
TEST_P(IdleMemoryTest, AnIdleConnectionIsSmall) {
    std::atomic<std::size_t> served{0};
    GrpcBox box({.poller = GetParam()}, [&served](ServiceRegistry& services) {
        services.unary("/etcdserverpb.KV/Range", [&served](CallRef call, std::string_view) {
            call->finish(Message());
            served.fetch_add(1);
        });
    });
    const std::string bytes = one_call();
    std::vector<std::optional<net::TestSocket>> sockets(kFirst + kConnections);
    const auto open = [&](std::size_t from, std::size_t to) {
        for (std::size_t i = from; i < to; ++i) {
            sockets[i].emplace(box.port());
            sockets[i]->send(bytes);
        }
        ASSERT_TRUE(box.server().eventually([&] { return served.load() == to; }));
    };
    open(0, kFirst);
    // On a busy machine the monitor reports a stall, for which the program's symbols are read. They
    // stay, and are no connection's.
    (void)rt::symbol_at(0);
    box.server().skip(2 * limits::kIdleTrimNs);
    const std::size_t before = settled_heap_bytes(box);
    open(kFirst, kFirst + kConnections);
    box.server().skip(2 * limits::kIdleTrimNs);
    // A worker that gets no CPU for a while looks as if all had settled.
    std::size_t each = 0;
    EXPECT_TRUE(box.server().eventually([&] {
        each = (std::max(settled_heap_bytes(box), before) - before) / kConnections;
        return each <= kBytesMax;
    })) << each;
    std::printf("an idle connection keeps %zu bytes (%s)\n", each, GetParam());
}

}  // namespace
}  // namespace sluice::grpc

#endif
