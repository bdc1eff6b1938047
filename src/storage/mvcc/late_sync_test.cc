// A store that holds nothing yet is made without a sync, and what its first table file needs is
// durable before that file has a name.
#include "storage/mvcc/late_sync.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>

#include "storage/mvcc/applier.h"
#include "storage/mvcc/model_testing.h"
#include "storage/mvcc/store.h"

namespace sluice::storage {
namespace {

namespace fs = std::filesystem;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

// What was written since its last sync, by path; what was synced how often.
struct Ledger {
    std::set<std::string> dirty;
    std::set<std::string> dirty_when_named;  // as `dirty` was at the first table file
    std::set<std::string> synced_dirs;
    unsigned syncs = 0;
    bool table_named = false;
    bool fail_syncs = false;
    std::mutex mutex;

    IOStatus sync(const std::string& path) {
        const std::lock_guard lock(mutex);
        ++syncs;
        if (fail_syncs) return IOStatus::IOError("injected");
        dirty.erase(path);
        return IOStatus::OK();
    }
};

class CountedFile final : public rocksdb::FSWritableFileOwnerWrapper {
  public:
    CountedFile(std::unique_ptr<rocksdb::FSWritableFile> below, std::string path, Ledger& ledger)
        : FSWritableFileOwnerWrapper(std::move(below)), path_(std::move(path)), ledger_(ledger) {}
    IOStatus Append(const rocksdb::Slice& data, const IOOptions& options,
                    IODebugContext* debug) override {
        {
            const std::lock_guard lock(ledger_.mutex);
            ledger_.dirty.insert(path_);
        }
        return target()->Append(data, options, debug);
    }
    IOStatus Append(const rocksdb::Slice& data, const IOOptions& options,
                    const rocksdb::DataVerificationInfo&, IODebugContext* debug) override {
        return Append(data, options, debug);
    }
    IOStatus Sync(const IOOptions&, IODebugContext*) override { return ledger_.sync(path_); }
    IOStatus Fsync(const IOOptions&, IODebugContext*) override { return ledger_.sync(path_); }

  private:
    const std::string path_;
    Ledger& ledger_;
};

class CountedDirectory final : public rocksdb::FSDirectoryWrapper {
  public:
    CountedDirectory(std::unique_ptr<rocksdb::FSDirectory> below, std::string path, Ledger& ledger)
        : FSDirectoryWrapper(std::move(below)), path_(std::move(path)), ledger_(ledger) {}
    IOStatus FsyncWithDirOptions(const IOOptions&, IODebugContext*,
                                 const rocksdb::DirFsyncOptions&) override {
        IOStatus status = ledger_.sync(path_);
        const std::lock_guard lock(ledger_.mutex);
        ledger_.synced_dirs.insert(path_);
        return status;
    }

  private:
    const std::string path_;
    Ledger& ledger_;
};

class CountedFileSystem final : public rocksdb::FileSystemWrapper {
  public:
    explicit CountedFileSystem(Ledger& ledger)
        : FileSystemWrapper(rocksdb::FileSystem::Default()), ledger_(ledger) {}
    const char* Name() const override { return "sluice.counted"; }
    IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                             std::unique_ptr<rocksdb::FSWritableFile>* file,
                             IODebugContext* debug) override {
        if (path.ends_with(".sst")) {
            const std::lock_guard lock(ledger_.mutex);
            if (!ledger_.table_named) ledger_.dirty_when_named = ledger_.dirty;
            ledger_.table_named = true;
        }
        return wrap(target()->NewWritableFile(path, options, file, debug), path, file);
    }
    IOStatus ReopenWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                std::unique_ptr<rocksdb::FSWritableFile>* file,
                                IODebugContext* debug) override {
        return wrap(target()->ReopenWritableFile(path, options, file, debug), path, file);
    }
    IOStatus NewDirectory(const std::string& path, const IOOptions& options,
                          std::unique_ptr<rocksdb::FSDirectory>* directory,
                          IODebugContext* debug) override {
        std::unique_ptr<rocksdb::FSDirectory> below;
        IOStatus status = target()->NewDirectory(path, options, &below, debug);
        if (status.ok()) {
            *directory = std::make_unique<CountedDirectory>(std::move(below), path, ledger_);
        }
        return status;
    }
    IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                        IODebugContext* debug) override {
        {
            const std::lock_guard lock(ledger_.mutex);
            if (ledger_.dirty.erase(from) > 0) ledger_.dirty.insert(to);
        }
        return target()->RenameFile(from, to, options, debug);
    }

  private:
    IOStatus wrap(IOStatus status, const std::string& path,
                  std::unique_ptr<rocksdb::FSWritableFile>* file) {
        if (status.ok()) *file = std::make_unique<CountedFile>(std::move(*file), path, ledger_);
        return status;
    }
    Ledger& ledger_;
};

class LateSync : public testing::Test {
  protected:
    void SetUp() override {
        files_ = std::make_shared<LateSyncFileSystem>(std::make_shared<CountedFileSystem>(ledger_),
                                                      dir_.path("store"));
        env_ = rocksdb::NewCompositeEnv(files_);
        rocksdb::Options options;
        options.env = env_.get();
        options.create_if_missing = true;
        rocksdb::DB* raw = nullptr;
        const auto opened = rocksdb::DB::Open(options, dir_.path("store"), &raw);
        ASSERT_TRUE(opened.ok()) << opened.ToString();
        db_.reset(raw);
        rocksdb::WriteOptions write;
        write.disableWAL = true;
        ASSERT_TRUE(db_->Put(write, "key", "value").ok());
    }
    std::set<std::string> unsynced() const {
        std::set<std::string> names;
        for (const std::string& path : ledger_.dirty_when_named) {
            const std::string name = fs::path(path).filename();
            if (fs::exists(path) && name != "LOG") names.insert(name);
        }
        return names;
    }

    TemporaryDir dir_;
    Ledger ledger_;
    std::shared_ptr<LateSyncFileSystem> files_;
    std::unique_ptr<rocksdb::Env> env_;
    std::unique_ptr<rocksdb::DB> db_;
};

TEST_F(LateSync, CreatingTakesNoSyncAndTheFirstTableFileTakesThemAll) {
    EXPECT_EQ(ledger_.syncs, 0u);
    EXPECT_FALSE(ledger_.dirty.empty());
    ASSERT_TRUE(db_->Flush({}).ok());
    EXPECT_TRUE(ledger_.table_named);
    EXPECT_EQ(unsynced(), std::set<std::string>{});
    EXPECT_TRUE(ledger_.synced_dirs.contains(dir_.path("store")));
    EXPECT_TRUE(ledger_.synced_dirs.contains(dir_.path()));
    const unsigned before = ledger_.syncs;
    ASSERT_TRUE(db_->Put(rocksdb::WriteOptions(), "key", "newer").ok());
    ASSERT_TRUE(db_->Flush({}).ok());
    EXPECT_GE(ledger_.syncs, before + 2) << "the second table file and its manifest are synced";
}

TEST_F(LateSync, NoTableFileIsNamedWhenTheRestCannotBeSynced) {
    ledger_.fail_syncs = true;
    EXPECT_FALSE(db_->Flush({}).ok());
    EXPECT_FALSE(ledger_.table_named);
    EXPECT_FALSE(has_table_files(dir_.path("store")).value());
}

// The lock is fcntl's: a descriptor of LOCK that is opened and closed would give it up.
TEST_F(LateSync, TheStoreIsStillLockedAfterTheFirstFlush) {
    ASSERT_TRUE(db_->Flush({}).ok());
    const std::string lock = dir_.path("store") + "/LOCK";
    struct flock wanted{};
    wanted.l_type = F_WRLCK;
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        const int fd = ::open(lock.c_str(), O_RDWR);
        ::_exit(fd >= 0 && ::fcntl(fd, F_SETLK, &wanted) == -1 ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0) << "another process could take the lock";
}

// Loss of power before the first flush: any file may be empty or gone.
TEST(EmptyStore, WhateverIsLeftOfItIsMadeAnew) {
    for (unsigned round = 0; round < 24; ++round) {
        TemporaryDir dir;
        const std::string store_dir = dir.path("store");
        {
            auto store = MvccStore::open({.dir = store_dir, .flush_on_close = false});
            ASSERT_TRUE(store) << store.error().message();
            Applier applier(**store);
            applier.begin_txn(false);
            ASSERT_TRUE(applier.put("key", "value", 0));
            applier.end_txn(nullptr);
            ASSERT_TRUE(applier.commit(1, 1));
        }
        ASSERT_FALSE(has_table_files(store_dir).value());
        unsigned n = round;
        for (const auto& file : fs::directory_iterator(store_dir)) {
            if (n++ % 3 == 0)
                fs::remove(file.path());
            else if (n % 3 == 1)
                fs::resize_file(file.path(), fs::file_size(file.path()) / 2);
        }
        auto store = MvccStore::open({.dir = store_dir});
        ASSERT_TRUE(store) << round << ": " << store.error().message();
        EXPECT_EQ((*store)->applied_index(), 0u);
        EXPECT_EQ((*store)->current_revision(), 1);
    }
}

TEST(EmptyStore, AFolderThatCannotBeListedIsNotEmpty) {
    TemporaryDir dir;
    EXPECT_FALSE(has_table_files(dir.path("absent")).value());
    std::ofstream(dir.path("file")) << "no folder";
    EXPECT_FALSE(has_table_files(dir.path("file")).has_value());
    EXPECT_FALSE(MvccStore::open({.dir = dir.path("file")}).has_value());
    EXPECT_TRUE(fs::is_regular_file(dir.path("file")));
}

TEST(EmptyStore, IsNotTakenFromItsOwner) {
    TemporaryDir dir;
    auto store = MvccStore::open({.dir = dir.path("store")});
    ASSERT_TRUE(store);
    auto second = MvccStore::open({.dir = dir.path("store")});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), Code::kFailedPrecondition) << second.error().message();
    Applier applier(**store);
    applier.begin_txn(false);
    ASSERT_TRUE(applier.put("key", "value", 0));
    applier.end_txn(nullptr);
    ASSERT_TRUE(applier.commit(1, 1));
    ASSERT_TRUE((*store)->flush());
    EXPECT_EQ((*store)->durable_applied_index(), 1u);
}

}  // namespace
}  // namespace sluice::storage
