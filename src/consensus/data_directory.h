// A member's data directory: one owner at a time, and who the member is.
//
//   <dir>/LOCK        held while the process runs (the file stays)
//   <dir>/MEMBER      format version, member id and cluster id; written once, atomically
//   <dir>/wal/        the log (storage/wal/wal.h)
//   <dir>/store/      the state machine's
//
// open() takes the lock and finds out who the member is; make_durable() then writes down what a new
// directory needs. Between the two only what may be lost with the directory may be written to it.
// Both BLOCK on the disk: call them before the runtime starts, or through rt::blocking(). The
// object holds the lock until it is destroyed; it must outlive the Node and the store.
//
// Errors: kFailedPrecondition, "another sluice uses the data directory ..." or a format of a newer
// version; kDataLoss, a damaged MEMBER file; otherwise as io::FileSystem.
//
//   SLUICE_TRY_ASSIGN(auto data, DataDirectory::open(fs, "data", {.member_id = id, ...}));
//   SLUICE_TRY(data->make_durable());
//   NodeOptions options{.wal_dir = data->wal_dir(), .member_id = data->identity().member_id};
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "io/file.h"

namespace sluice::consensus {

class DataDirectory {
  public:
    struct Identity {
        std::uint64_t member_id = 0;
        std::uint64_t cluster_id = 0;

        bool operator==(const Identity&) const = default;
    };

    // `if_new` becomes the identity of a directory that has none; both ids must not be 0. Missing
    // parents of `dir` are created.
    static Result<std::unique_ptr<DataDirectory>> open(io::FileSystem& fs, std::string dir,
                                                       Identity if_new);

    // Before the first write to the log: makes MEMBER, wal/ and the directory itself durable, if
    // open() did not find them. `log_inside`: false if the log lies elsewhere, and wal/ is not
    // made. Any thread, once.
    Status make_durable(bool log_inside = true);

    const Identity& identity() const noexcept { return identity_; }
    bool created() const noexcept { return created_; }  // had none before this open()
    std::string wal_dir() const { return dir_ + "/wal"; }
    std::string store_dir() const { return dir_ + "/store"; }

  private:
    DataDirectory(io::FileSystem& fs, std::string dir, std::unique_ptr<io::FileLock> lock)
        : fs_(fs), dir_(std::move(dir)), lock_(std::move(lock)) {}
    Status find_identity(Identity if_new);
    Status write_identity();
    std::string member_path() const { return dir_ + "/MEMBER"; }

    io::FileSystem& fs_;
    const std::string dir_;
    const std::unique_ptr<io::FileLock> lock_;
    Identity identity_;
    bool created_ = false;
};

}  // namespace sluice::consensus
