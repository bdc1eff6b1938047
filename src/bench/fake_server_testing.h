// A gRPC server for the load generator's tests: one thread, puts and an empty method, and a few
// ways to misbehave. It stands on the same HTTP/2 session as the loader, so it proves the loader's
// bookkeeping; that real servers understand the loader is shown by `./dev bench kv`.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "net/http2/session.h"

namespace sluice::bench {

enum class Misbehaviour { kNone, kGrpcError, kNoMessage, kTwoMessages, kSameRevision, kCloseAfter };

class FakeServer {
  public:
    explicit FakeServer(Misbehaviour misbehaviour = Misbehaviour::kNone);
    ~FakeServer();
    FakeServer(const FakeServer&) = delete;
    FakeServer& operator=(const FakeServer&) = delete;

    std::string endpoint() const;

    // Ends the server; then what it has seen may be read.
    void stop();
    std::uint64_t calls() const noexcept { return calls_; }
    std::size_t connections() const noexcept { return connections_.size(); }
    const std::map<std::string, std::size_t>& puts_by_key() const noexcept { return puts_by_key_; }
    const std::map<std::string, std::size_t>& calls_by_path() const noexcept {
        return calls_by_path_;
    }
    const std::string& last_timeout() const noexcept { return last_timeout_; }

  private:
    class Peer;

    void run();
    std::string answer(const std::string& path, std::string_view message);

    const Misbehaviour misbehaviour_;
    int listen_fd_ = -1;
    int port_ = 0;
    std::atomic<bool> stopping_{false};  // relaxed is enough: the thread is joined
    std::uint64_t calls_ = 0;
    std::uint64_t revision_ = 1;
    std::map<std::string, std::size_t> puts_by_key_, calls_by_path_;
    std::string last_timeout_;
    std::vector<std::unique_ptr<Peer>> connections_;
    http2::SessionConfig config_;
    http2::Scratch scratch_;
    std::thread thread_;
};

}  // namespace sluice::bench
