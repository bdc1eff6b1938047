#include "bench/fake_server_testing.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>

#include "base/byte_order.h"
#include "base/check.h"
#include "base/syscall.h"
#include "proto/etcdserverpb/kv.pb.h"

namespace sluice::bench {
namespace {

using http2::HeaderField;
using http2::HeaderId;

std::string header_text(http2::HeaderBlock& block, HeaderId id) {
    const http2::Header* header = block.find(id);
    return header == nullptr ? std::string() : std::string(header->value);
}

}  // namespace

class FakeServer::Peer final : public http2::SessionHandler {
  public:
    Peer(FakeServer& server, int fd)
        : server_(server), session_(http2::Role::kServer, server.config_, *this, out_), fd_(fd) {
        session_.start(0);
    }
    ~Peer() override { close(); }

    int fd() const { return fd_; }

    void on_readable() {
        char bytes[16'384];
        const ssize_t got = sys::recv(fd_, bytes, sizeof bytes, MSG_DONTWAIT);
        if (got == -EAGAIN) return;
        const bool over = got <= 0 || session_.feed({bytes, static_cast<std::size_t>(got)}, 0,
                                                    server_.scratch_) == http2::FeedResult::kClose;
        if (over || close_now_) return close();
        flush();
    }

    void close() {
        if (fd_ < 0) return;
        session_.terminate(http2::ErrorCode::kNoError);
        sys::close(std::exchange(fd_, -1));
    }

  private:
    struct Request {
        std::string path;
        std::string bytes;
    };

    void flush() {
        for (session_.produce(0); !out_.empty(); session_.produce(0)) {
            iovec part;
            SLUICE_CHECK(out_.gather({&part, 1}) == 1);
            const ssize_t sent = sys::send(fd_, part.iov_base, part.iov_len, MSG_NOSIGNAL);
            if (sent < 0) return close();
            out_.consume(static_cast<std::size_t>(sent));
        }
    }

    void on_headers(http2::StreamId id, void*, http2::HeaderBlock& block, bool) override {
        requests_[id].path = header_text(block, HeaderId::kPath);
        server_.last_timeout_ = header_text(block, HeaderId::kGrpcTimeout);
    }

    void on_data(http2::StreamId id, void*, std::string_view bytes, bool end_stream) override {
        session_.consume(id, bytes.size());
        requests_[id].bytes += bytes;
        if (!end_stream) return;
        const Request request = std::move(requests_[id]);
        requests_.erase(id);
        SLUICE_CHECK(request.bytes.size() >= 5);
        SLUICE_CHECK(load_be32(request.bytes.data() + 1) == request.bytes.size() - 5);
        respond(id, server_.answer(request.path, std::string_view(request.bytes).substr(5)));
        session_.release(id);
        if (server_.misbehaviour_ == Misbehaviour::kCloseAfter && server_.calls_ > 50)
            close_now_ = true;
    }

    void respond(http2::StreamId id, std::string_view message) {
        const auto misbehaviour = server_.misbehaviour_;
        const HeaderField status = HeaderField::text(":status", "200");
        const HeaderField type = HeaderField::text("content-type", "application/grpc");
        if (misbehaviour == Misbehaviour::kGrpcError) {
            const HeaderField all[] = {status, type, HeaderField::text("grpc-status", "14"),
                                       HeaderField::text("grpc-message", "etcdserver: no leader")};
            session_.send_headers(id, all, true);
            return;
        }
        const HeaderField head[] = {status, type};
        session_.send_headers(id, head, false);
        std::string framed(5, '\0');
        store_be32(framed.data() + 1, static_cast<std::uint32_t>(message.size()));
        framed += message;
        if (misbehaviour == Misbehaviour::kTwoMessages) framed += framed;
        if (misbehaviour == Misbehaviour::kNoMessage) framed.clear();
        // Cut in two, so that the loader has to put messages together.
        const std::string_view all = framed;
        const std::size_t cut = all.size() / 2;
        const http2::DataPiece first = http2::DataPiece::copy(all.substr(0, cut));
        session_.send_data(id, {&first, 1}, false);
        const http2::DataPiece second = http2::DataPiece::copy(all.substr(cut));
        session_.send_data(id, {&second, 1}, false);
        const HeaderField trailers[] = {HeaderField::text("grpc-status", "0")};
        session_.send_trailers(id, trailers);
    }

    void on_writable(http2::StreamId, void*) override {}
    void on_closed(http2::StreamId id, void*, http2::ErrorCode) override { session_.release(id); }

    FakeServer& server_;
    http2::OutputBuffer out_;
    http2::Session session_;
    std::map<http2::StreamId, Request> requests_;
    int fd_;
    bool close_now_ = false;
};

FakeServer::FakeServer(Misbehaviour misbehaviour) : misbehaviour_(misbehaviour) {
    listen_fd_ = sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    SLUICE_CHECK(sys::bind(listen_fd_, generic, bytes) == 0);
    SLUICE_CHECK(sys::listen(listen_fd_, 128) == 0);
    SLUICE_CHECK(sys::getsockname(listen_fd_, generic, &bytes) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
}

FakeServer::~FakeServer() {
    stop();
}

std::string FakeServer::endpoint() const {
    return "127.0.0.1:" + std::to_string(port_);
}

void FakeServer::stop() {
    if (!thread_.joinable()) return;
    stopping_ = true;
    sys::shutdown(listen_fd_, SHUT_RDWR);  // ends the poll
    thread_.join();
    sys::close(listen_fd_);
}

void FakeServer::run() {
    while (!stopping_) {
        std::vector<pollfd> polled = {{.fd = listen_fd_, .events = POLLIN, .revents = 0}};
        for (auto& peer : connections_)
            polled.push_back({.fd = peer->fd(), .events = POLLIN, .revents = 0});
        if (::poll(polled.data(), polled.size(), -1) < 0) continue;
        for (std::size_t i = 1; i < polled.size(); ++i)
            if (polled[i].revents != 0) connections_[i - 1]->on_readable();
        if (polled[0].revents == 0 || stopping_) continue;
        const int fd = sys::accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd >= 0) connections_.push_back(std::make_unique<Peer>(*this, fd));
    }
    for (auto& peer : connections_) peer->close();
}

std::string FakeServer::answer(const std::string& path, std::string_view message) {
    ++calls_;
    ++calls_by_path_[path];
    if (path != "/etcdserverpb.KV/Put") return {};
    ::etcdserverpb::PutRequest request;
    SLUICE_CHECK(request.ParseFromArray(message.data(), static_cast<int>(message.size())));
    ++puts_by_key_[request.key()];
    if (misbehaviour_ != Misbehaviour::kSameRevision) ++revision_;
    ::etcdserverpb::PutResponse response;
    response.mutable_header()->set_revision(static_cast<std::int64_t>(revision_));
    return response.SerializeAsString();
}

}  // namespace sluice::bench
