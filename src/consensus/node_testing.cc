#include "consensus/node_testing.h"

#include "base/check.h"

namespace sluice::consensus {
namespace {

class GatedFile final : public io::File {
  public:
    GatedFile(GatedFileSystem& gate, std::unique_ptr<io::File> below)
        : gate_(gate), below_(std::move(below)) {}

    Result<std::size_t> pread(std::span<std::byte> to, std::uint64_t offset) override {
        return below_->pread(to, offset);
    }
    Status pwrite(std::span<const std::byte> from, std::uint64_t offset) override {
        return below_->pwrite(from, offset);
    }
    Status fdatasync() override {
        gate_.pass();
        return below_->fdatasync();
    }
    Status fallocate(std::uint64_t offset, std::uint64_t bytes) override {
        return below_->fallocate(offset, bytes);
    }
    Status truncate(std::uint64_t bytes) override { return below_->truncate(bytes); }
    Result<std::uint64_t> size() override { return below_->size(); }

  private:
    GatedFileSystem& gate_;
    const std::unique_ptr<io::File> below_;
};

}  // namespace

void ListMachine::apply(std::span<const CommittedEntry> entries) {
    ++batches;
    for (const CommittedEntry& entry : entries) {
        SLUICE_CHECK(entry.index == applied + 1);
        applied = entry.index;
        if (keep) values.push_back(std::string(entry.head) + std::string(entry.body));
    }
    for (const CommittedEntry& entry : entries) {
        if (entry.proposal != nullptr) static_cast<Call*>(entry.proposal)->complete(entry.index);
    }
}

void GatedFileSystem::close_gate() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
}

void GatedFileSystem::open_gate() {
    {
        const std::lock_guard lock(mutex_);
        closed_ = false;
    }
    changed_.notify_all();
}

void GatedFileSystem::wait_until_blocked() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return blocked_ > 0; });
}

void GatedFileSystem::pass() {
    std::unique_lock lock(mutex_);
    if (!closed_) return;
    ++blocked_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !closed_; });
    --blocked_;
}

Result<std::unique_ptr<io::File>> GatedFileSystem::open(const std::string& path,
                                                        io::OpenMode mode) {
    SLUICE_TRY_ASSIGN(auto file, below_.open(path, mode));
    return std::make_unique<GatedFile>(*this, std::move(file));
}

void run_fibers(const std::function<void()>& body, unsigned workers) {
    rt::Options options;
    options.workers = workers;
    rt::Runtime runtime(options);
    runtime.run(body);
}

}  // namespace sluice::consensus
