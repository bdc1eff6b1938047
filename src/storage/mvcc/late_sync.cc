#include "storage/mvcc/late_sync.h"

#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace sluice::storage {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

bool is_table_file(std::string_view path) {
    return path.ends_with(".sst");
}

class LateSyncFile final : public rocksdb::FSWritableFileOwnerWrapper {
  public:
    LateSyncFile(std::unique_ptr<rocksdb::FSWritableFile> below, LateSyncFileSystem& files)
        : FSWritableFileOwnerWrapper(std::move(below)), files_(files) {}

    IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
        return files_.sync_if_needed([&] { return target()->Sync(options, debug); });
    }
    IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
        return files_.sync_if_needed([&] { return target()->Fsync(options, debug); });
    }
    IOStatus RangeSync(std::uint64_t offset, std::uint64_t bytes, const IOOptions& options,
                       IODebugContext* debug) override {
        return files_.sync_if_needed(
            [&] { return target()->RangeSync(offset, bytes, options, debug); });
    }

  private:
    LateSyncFileSystem& files_;
};

class LateSyncDirectory final : public rocksdb::FSDirectoryWrapper {
  public:
    LateSyncDirectory(std::unique_ptr<rocksdb::FSDirectory> below, LateSyncFileSystem& files)
        : FSDirectoryWrapper(std::move(below)), files_(files) {}

    IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
        return files_.sync_if_needed([&] { return FSDirectoryWrapper::Fsync(options, debug); });
    }
    IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* debug,
                                 const rocksdb::DirFsyncOptions& reason) override {
        return files_.sync_if_needed(
            [&] { return FSDirectoryWrapper::FsyncWithDirOptions(options, debug, reason); });
    }

  private:
    LateSyncFileSystem& files_;
};

}  // namespace

LateSyncFileSystem::LateSyncFileSystem(const std::shared_ptr<rocksdb::FileSystem>& below,
                                       std::string dir)
    : FileSystemWrapper(below), dir_(std::move(dir)) {}

IOStatus LateSyncFileSystem::NewWritableFile(const std::string& path,
                                             const rocksdb::FileOptions& options,
                                             std::unique_ptr<rocksdb::FSWritableFile>* file,
                                             IODebugContext* debug) {
    if (is_table_file(path) && !syncing_.load(std::memory_order_acquire)) {
        const std::lock_guard lock(mutex_);
        if (!syncing_.load(std::memory_order_relaxed)) {
            IOStatus synced = sync_all(debug);
            if (!synced.ok()) return synced;
            syncing_.store(true, std::memory_order_release);
        }
    }
    std::unique_ptr<rocksdb::FSWritableFile> below;
    IOStatus made = target()->NewWritableFile(path, options, &below, debug);
    if (made.ok()) *file = std::make_unique<LateSyncFile>(std::move(below), *this);
    return made;
}

IOStatus LateSyncFileSystem::NewDirectory(const std::string& path, const IOOptions& options,
                                          std::unique_ptr<rocksdb::FSDirectory>* directory,
                                          IODebugContext* debug) {
    std::unique_ptr<rocksdb::FSDirectory> below;
    IOStatus made = target()->NewDirectory(path, options, &below, debug);
    if (made.ok()) *directory = std::make_unique<LateSyncDirectory>(std::move(below), *this);
    return made;
}

// Contents before names: a name that is durable has its content.
IOStatus LateSyncFileSystem::sync_all(IODebugContext* debug) {
    std::vector<std::string> names;
    IOStatus status = target()->GetChildren(dir_, IOOptions(), &names, debug);
    for (const std::string& name : names) {
        if (!status.ok()) return status;
        // Closing any descriptor of LOCK would give up this process's lock; LOG is for people.
        if (name == "LOCK" || name == "LOG") continue;
        bool is_directory = false;
        const std::string path = dir_ + "/" + name;
        status = target()->IsDirectory(path, IOOptions(), &is_directory, debug);
        if (status.ok() && !is_directory) status = sync_file(path, debug);
    }
    if (status.ok()) status = sync_directory(dir_, debug);
    if (!status.ok()) return status;
    const std::string parent = std::filesystem::path(dir_).parent_path();
    return sync_directory(parent.empty() ? "." : parent, debug);
}

IOStatus LateSyncFileSystem::sync_file(const std::string& path, IODebugContext* debug) {
    rocksdb::FileOptions options;
    options.use_mmap_writes = false;
    std::unique_ptr<rocksdb::FSWritableFile> file;
    IOStatus status = target()->ReopenWritableFile(path, options, &file, debug);
    if (status.ok()) status = file->Fsync(IOOptions(), debug);
    if (status.ok()) status = file->Close(IOOptions(), debug);
    return status;
}

IOStatus LateSyncFileSystem::sync_directory(const std::string& path, IODebugContext* debug) {
    std::unique_ptr<rocksdb::FSDirectory> directory;
    IOStatus status = target()->NewDirectory(path, IOOptions(), &directory, debug);
    if (status.ok()) {
        status = directory->FsyncWithDirOptions(IOOptions(), debug, rocksdb::DirFsyncOptions());
    }
    if (status.ok()) status = directory->Close(IOOptions(), debug);
    return status;
}

Result<bool> has_table_files(const std::string& dir) {
    std::error_code error;
    std::filesystem::directory_iterator file(dir, error);
    if (error == std::errc::no_such_file_or_directory) return false;
    bool found = false;
    while (!error && !found && file != std::filesystem::directory_iterator()) {
        found = is_table_file(file->path().native());
        file.increment(error);
    }
    if (error) return fail(Code::kInternal, "store: list " + dir + ": " + error.message());
    return found;
}

}  // namespace sluice::storage
