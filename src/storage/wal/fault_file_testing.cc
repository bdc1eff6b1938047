#include "storage/wal/fault_file_testing.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace sluice::storage {
namespace {

constexpr std::uint64_t kSectorBytes = 512;

std::string parent_of(const std::string& path) {
    const std::size_t slash = path.find_last_of('/');
    return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::unexpected<Error> missing(const std::string& path) {
    return fail(Code::kNotFound, path + ": no such file");
}

void put(std::string& to, std::uint64_t offset, std::string_view bytes) {
    if (to.size() < offset + bytes.size()) to.resize(offset + bytes.size(), '\0');
    if (!bytes.empty()) std::memcpy(to.data() + offset, bytes.data(), bytes.size());
}

}  // namespace

class FaultFile final : public io::File {
  public:
    FaultFile(FaultFileSystem& fs, std::shared_ptr<FaultFileSystem::Inode> inode)
        : fs_(fs), inode_(std::move(inode)) {
        ++fs_.open_files_;
    }
    ~FaultFile() override {
        const std::lock_guard lock(fs_.mutex_);
        --fs_.open_files_;
    }

    Result<std::size_t> pread(std::span<std::byte> to, std::uint64_t offset) override {
        const std::lock_guard lock(fs_.mutex_);
        if (offset >= inode_->seen.size()) return 0;
        const std::size_t n = std::min<std::size_t>(to.size(), inode_->seen.size() - offset);
        std::memcpy(to.data(), inode_->seen.data() + offset, n);
        return n;
    }
    Status pwrite(std::span<const std::byte> from, std::uint64_t offset) override {
        const std::lock_guard lock(fs_.mutex_);
        return fs_.write(*inode_, offset,
                         {reinterpret_cast<const char*>(from.data()), from.size()});
    }
    Status fdatasync() override {
        const std::lock_guard lock(fs_.mutex_);
        return fs_.sync(*inode_);
    }
    Status fallocate(std::uint64_t offset, std::uint64_t bytes) override {
        const std::lock_guard lock(fs_.mutex_);
        SLUICE_TRY(fs_.count(FaultFileSystem::Call::kFallocate));
        if (inode_->seen.size() < offset + bytes) inode_->seen.resize(offset + bytes, '\0');
        return {};
    }
    Status truncate(std::uint64_t bytes) override {
        const std::lock_guard lock(fs_.mutex_);
        inode_->seen.resize(bytes, '\0');
        return {};
    }
    Result<std::uint64_t> size() override {
        const std::lock_guard lock(fs_.mutex_);
        return inode_->seen.size();
    }

  private:
    FaultFileSystem& fs_;
    const std::shared_ptr<FaultFileSystem::Inode> inode_;
};

class FaultLock final : public io::FileLock {
  public:
    FaultLock(FaultFileSystem& fs, std::string path) : fs_(fs), path_(std::move(path)) {}
    ~FaultLock() override {
        const std::lock_guard lock(fs_.mutex_);
        fs_.locks_.erase(path_);
    }

  private:
    FaultFileSystem& fs_;
    const std::string path_;
};

FaultFileSystem::FaultFileSystem(std::uint64_t seed) : random_(seed) {
    name_history_.push_back({});
}

FaultFileSystem::~FaultFileSystem() {
    SLUICE_CHECK(open_files_ == 0);
}

std::uint64_t FaultFileSystem::random(std::uint64_t below) {
    SLUICE_CHECK(below > 0);
    return random_() % below;
}

void FaultFileSystem::fail_after(Call call, std::uint64_t n, Error error) {
    const std::lock_guard lock(mutex_);
    failing_ = call;
    fail_in_ = n;
    failure_ = std::move(error);
}

void FaultFileSystem::heal() {
    const std::lock_guard lock(mutex_);
    failure_.reset();
}

std::uint64_t FaultFileSystem::calls(Call call) const {
    const std::lock_guard lock(mutex_);
    const auto found = calls_.find(call);
    return found == calls_.end() ? 0 : found->second;
}

Status FaultFileSystem::count(Call call) {
    ++calls_[call];
    if (!failure_ || (failing_ != Call::kAny && failing_ != call)) return {};
    if (fail_in_ > 0) {
        --fail_in_;
        return {};
    }
    return fail(*failure_);
}

Status FaultFileSystem::write(Inode& inode, std::uint64_t offset, std::string_view bytes) {
    const Status status = count(Call::kWrite);
    if (!status) bytes = bytes.substr(0, random(bytes.size() + 1));
    put(inode.seen, offset, bytes);
    inode.pending.push_back({offset, std::string(bytes)});
    return status;
}

Status FaultFileSystem::sync(Inode& inode) {
    if (Status status = count(Call::kFdatasync); !status) {
        lose_bytes(inode);
        // As Linux does: the pages count as clean now, and the next fdatasync would say OK.
        return status;
    }
    inode.durable = inode.seen;
    inode.pending.clear();
    return {};
}

// Each sector that was written since the last sync keeps the state after some of its writes.
void FaultFileSystem::lose_bytes(Inode& inode) {
    std::map<std::uint64_t, std::vector<const Write*>> sectors;
    for (const Write& write : inode.pending) {
        if (write.bytes.empty()) continue;
        const std::uint64_t last = (write.offset + write.bytes.size() - 1) / kSectorBytes;
        for (std::uint64_t s = write.offset / kSectorBytes; s <= last; ++s) {
            sectors[s].push_back(&write);
        }
    }
    // Now and then everything or nothing survives, as that is what really happens most.
    const std::uint64_t mode = random(4);
    if (inode.durable.size() < inode.seen.size()) inode.durable.resize(inode.seen.size(), '\0');
    for (const auto& [sector, writes] : sectors) {
        const std::uint64_t survive =
            mode == 0 ? 0 : (mode == 1 ? writes.size() : random(writes.size() + 1));
        for (std::uint64_t i = 0; i < survive; ++i) {
            const Write& write = *writes[i];
            const std::uint64_t from = std::max(write.offset, sector * kSectorBytes);
            const std::uint64_t to =
                std::min(write.offset + write.bytes.size(), (sector + 1) * kSectorBytes);
            put(inode.durable, from,
                std::string_view(write.bytes).substr(from - write.offset, to - from));
        }
    }
    inode.pending.clear();
}

void FaultFileSystem::power_loss() {
    const std::lock_guard lock(mutex_);
    SLUICE_CHECK(open_files_ == 0 && locks_.empty());
    names_ = name_history_[random(name_history_.size())];
    name_history_.assign(1, names_);
    for (auto& [path, inode] : names_) {
        if (!inode) continue;
        lose_bytes(*inode);
        inode->seen = inode->durable;
    }
    failure_.reset();
}

void FaultFileSystem::kill() {
    const std::lock_guard lock(mutex_);
    SLUICE_CHECK(open_files_ == 0 && locks_.empty());
    failure_.reset();
}

void FaultFileSystem::overwrite(const std::string& path, std::uint64_t offset,
                                std::string_view bytes) {
    const std::lock_guard lock(mutex_);
    const auto found = names_.find(path);
    SLUICE_CHECK(found != names_.end() && found->second);
    put(found->second->seen, offset, bytes);
    put(found->second->durable, offset, bytes);
}

void FaultFileSystem::flip_bit(const std::string& path, std::uint64_t byte, unsigned bit) {
    const std::string bytes = contents(path);
    SLUICE_CHECK(byte < bytes.size() && bit < 8);
    const char flipped = static_cast<char>(bytes[byte] ^ (1 << bit));
    overwrite(path, byte, {&flipped, 1});
}

std::string FaultFileSystem::contents(const std::string& path) {
    const std::lock_guard lock(mutex_);
    const auto found = names_.find(path);
    SLUICE_CHECK(found != names_.end() && found->second);
    return found->second->seen;
}

void FaultFileSystem::note_names() {
    name_history_.push_back(names_);
}

Result<std::unique_ptr<io::File>> FaultFileSystem::open(const std::string& path,
                                                        io::OpenMode mode) {
    const std::lock_guard lock(mutex_);
    const bool create = mode == io::OpenMode::kCreate || mode == io::OpenMode::kCreateNew;
    auto found = names_.find(path);
    if (found != names_.end() && mode == io::OpenMode::kCreateNew) {
        return fail(Code::kAlreadyExists, path + ": exists");
    }
    if (found == names_.end()) {
        if (!create) return missing(path);
        found = names_.emplace(path, std::make_shared<Inode>()).first;
        note_names();
    }
    SLUICE_CHECK(found->second != nullptr);
    return std::make_unique<FaultFile>(*this, found->second);
}

Status FaultFileSystem::rename(const std::string& from, const std::string& to) {
    const std::lock_guard lock(mutex_);
    SLUICE_TRY(count(Call::kRename));
    const auto found = names_.find(from);
    if (found == names_.end()) return missing(from);
    names_[to] = found->second;
    names_.erase(from);
    note_names();
    return {};
}

Status FaultFileSystem::remove(const std::string& path) {
    const std::lock_guard lock(mutex_);
    if (names_.erase(path) == 0) return missing(path);
    note_names();
    return {};
}

Status FaultFileSystem::create_dir(const std::string& path) {
    const std::lock_guard lock(mutex_);
    if (!names_.emplace(path, nullptr).second) {
        return fail(Code::kAlreadyExists, path + ": exists");
    }
    note_names();
    return {};
}

Result<bool> FaultFileSystem::exists(const std::string& path) {
    const std::lock_guard lock(mutex_);
    return names_.contains(path);
}

Result<std::vector<std::string>> FaultFileSystem::list(const std::string& path) {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> out;
    for (const auto& [name, inode] : names_) {
        if (parent_of(name) == path) out.push_back(name.substr(path.size() + 1));
    }
    return out;
}

// All directories at once: one order of names, as a journal has it.
Status FaultFileSystem::sync_dir(const std::string& path) {
    const std::lock_guard lock(mutex_);
    (void)path;
    SLUICE_TRY(count(Call::kSyncDir));
    name_history_.assign(1, names_);
    return {};
}

Result<std::unique_ptr<io::FileLock>> FaultFileSystem::lock(const std::string& path) {
    const std::lock_guard lock(mutex_);
    if (!locks_.emplace(path, true).second) {
        return fail(Code::kFailedPrecondition, path + " is locked by another process");
    }
    names_.try_emplace(path, std::make_shared<Inode>());
    return std::make_unique<FaultLock>(*this, path);
}

}  // namespace sluice::storage
