// A store as one stream of bytes: Maintenance.Snapshot, backups, and a new member's first state.
//
// The stream is a checkpoint's files one after the other behind a table of contents, with a SHA-256
// of everything before it at the end (etcd appends one too). docs/formats/snapshot.md draws it. It
// is exact: history, leases, applied index and all. Its size is known before the first byte.
//
//   auto reader = store.snapshot();                    // blocks: a flush and hard links
//   while ((*reader)->remaining() > 0) {
//       std::string chunk;
//       SLUICE_TRY((*reader)->next(64 << 10, chunk));  // blocks: reads a file
//       send(chunk, (*reader)->remaining());
//   }
//
// A reader owns a temporary folder inside the store's and removes it when it ends. It costs disk
// space only for what compactions replace meanwhile.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::storage {

class SnapshotReader {
  public:
    ~SnapshotReader();
    SnapshotReader(const SnapshotReader&) = delete;
    SnapshotReader& operator=(const SnapshotReader&) = delete;

    std::uint64_t size() const noexcept;       // of the whole stream, trailer included
    std::uint64_t remaining() const noexcept;  // not yet handed out
    // Replaces chunk by the next bytes, at most bytes_max of them; empty at the end. Blocks.
    Status next(std::size_t bytes_max, std::string& chunk);

  private:
    friend class MvccStore;
    struct Impl;
    explicit SnapshotReader(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// Writes a stream back into a folder, which MvccStore::open() then opens.
class SnapshotWriter {
  public:
    // dir must not exist or be empty. Blocks.
    static Result<std::unique_ptr<SnapshotWriter>> create(const std::string& dir);
    ~SnapshotWriter();  // removes the folder unless finish() succeeded
    SnapshotWriter(const SnapshotWriter&) = delete;
    SnapshotWriter& operator=(const SnapshotWriter&) = delete;

    // The next bytes, in pieces of any size. kDataLoss: not a snapshot, or damaged. Blocks.
    Status write(std::string_view bytes);
    // All bytes were written: checks the sum and syncs the files. kDataLoss if it does not match.
    Status finish();

  private:
    struct Impl;
    explicit SnapshotWriter(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::storage
