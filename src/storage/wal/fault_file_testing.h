// A FileSystem in memory that fails the way disks and kernels do: for tests, replayable by seed.
//
// It keeps two states: what the running process sees, and what has reached the disk. power_loss()
// throws the first away. Bytes written since their file's last fdatasync survive sector by sector
// (512 bytes), each as it was, as it is, or as of some write in between, by the seed; names changed
// since the last sync_dir of their directory survive up to a random point in their order. kill() is
// SIGKILL: the kernel keeps everything.
//
// Any call can be told to fail (fail_after), also having done half of its work. flip_bit() damages
// what is on the disk. Thread-safe: one lock. Never blocks on a disk.
//
//   FaultFileSystem fs(seed);
//   fs.fail_after(FaultFileSystem::Call::kFdatasync, 3, {Code::kInternal, "EIO"});
//   ... use ...
//   fs.power_loss();            // every File and FileLock must be closed
//   ... reopen, compare ...
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "io/file.h"

namespace sluice::storage {

class FaultFileSystem final : public io::FileSystem {
  public:
    enum class Call : std::uint8_t { kWrite, kFdatasync, kFallocate, kRename, kSyncDir, kAny };

    explicit FaultFileSystem(std::uint64_t seed);
    ~FaultFileSystem() override;

    // The n-th next such call (0: the next one) fails, and all later ones as well: a broken disk
    // stays broken. A failing write may have written a part, a failing fdatasync may have made
    // a part durable; both by the seed.
    void fail_after(Call call, std::uint64_t n, Error error);
    void heal();

    void power_loss();
    void kill();

    // Flips one bit of the file on the disk and in the cache.
    void flip_bit(const std::string& path, std::uint64_t byte, unsigned bit);
    // Overwrites bytes of the file, on the disk and in the cache.
    void overwrite(const std::string& path, std::uint64_t offset, std::string_view bytes);
    std::string contents(const std::string& path);

    std::uint64_t calls(Call call) const;

    Result<std::unique_ptr<io::File>> open(const std::string& path, io::OpenMode mode) override;
    Status rename(const std::string& from, const std::string& to) override;
    Status remove(const std::string& path) override;
    Status create_dir(const std::string& path) override;
    Result<bool> exists(const std::string& path) override;
    Result<std::vector<std::string>> list(const std::string& path) override;
    Status sync_dir(const std::string& path) override;
    Result<std::unique_ptr<io::FileLock>> lock(const std::string& path) override;

  private:
    friend class FaultFile;
    friend class FaultLock;

    struct Write {
        std::uint64_t offset;
        std::string bytes;
    };
    struct Inode {
        std::string seen;            // what the process reads
        std::string durable;         // what the disk holds
        std::vector<Write> pending;  // writes since the last fdatasync, in order
    };
    using Names = std::map<std::string, std::shared_ptr<Inode>>;  // null: a directory

    Status count(Call call);  // fails if it is its turn
    Status write(Inode& inode, std::uint64_t offset, std::string_view bytes);
    Status sync(Inode& inode);
    void lose_bytes(Inode& inode);
    void note_names();
    std::uint64_t random(std::uint64_t below);

    mutable std::mutex mutex_;
    std::mt19937_64 random_;
    Names names_;
    std::vector<Names> name_history_;  // [0] durable, then after each change
    std::map<std::string, bool> locks_;
    std::map<Call, std::uint64_t> calls_;
    Call failing_ = Call::kAny;
    std::uint64_t fail_in_ = 0;
    std::optional<Error> failure_;
    std::uint64_t open_files_ = 0;
};

}  // namespace sluice::storage
