// The files of a store that holds nothing yet: synced when its first table file is made, not
// before.
//
// Creating an empty RocksDB costs 16 syncs, one after another. None of them is needed: until the
// first flush everything that the store holds is in the Raft log, and a store without a table file
// is made anew at the next start (StoreCore::open). So until then syncs are skipped. What must hold
// is: where a table file's name is, the files that make it readable are durable. So the creation of
// the first one syncs every file of the folder, the folder and its parent, and fails if that fails;
// from then on every sync is a sync.
//
// Who may call: RocksDB, on any thread. Blocks on the disk. Cost once the first table file is
// there: an atomic load a sync.
//
//   auto files = std::make_shared<LateSyncFileSystem>(rocksdb::FileSystem::Default(), dir);
//   auto env = rocksdb::NewCompositeEnv(files);   // for DBOptions::env
#pragma once

#include <rocksdb/file_system.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"

namespace sluice::storage {

class LateSyncFileSystem final : public rocksdb::FileSystemWrapper {
  public:
    // `dir` is the store's folder; it is there or will be created below this.
    LateSyncFileSystem(const std::shared_ptr<rocksdb::FileSystem>& below, std::string dir);

    const char* Name() const override { return "sluice.late-sync"; }
    rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSWritableFile>* file,
                                      rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus NewDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                   std::unique_ptr<rocksdb::FSDirectory>* directory,
                                   rocksdb::IODebugContext* debug) override;

    // Runs `sync` unless syncs are still skipped.
    template <class Sync>
    rocksdb::IOStatus sync_if_needed(Sync sync) {
        if (syncing_.load(std::memory_order_acquire)) return sync();
        const std::lock_guard lock(mutex_);
        return syncing_.load(std::memory_order_relaxed) ? sync() : rocksdb::IOStatus::OK();
    }

  private:
    rocksdb::IOStatus sync_all(rocksdb::IODebugContext* debug);
    rocksdb::IOStatus sync_file(const std::string& path, rocksdb::IODebugContext* debug);
    rocksdb::IOStatus sync_directory(const std::string& path, rocksdb::IODebugContext* debug);

    const std::string dir_;
    std::mutex mutex_;  // held while everything is synced
    // Release in NewWritableFile(), acquire in sync_if_needed().
    std::atomic<bool> syncing_{false};
};

// Is there a table file in the folder? Without one a store holds nothing, and neither does a folder
// that does not exist. Any other error is one: who cannot see a store must not take it for empty.
Result<bool> has_table_files(const std::string& dir);

}  // namespace sluice::storage
