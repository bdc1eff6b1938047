// A FileSystem that passes every call on to another one: the base of those that change a few of
// them, as fault injectors do. Blocks and fails as the other does; costs a virtual call more.
//
//   class Counting final : public ForwardingFileSystem {
//       using ForwardingFileSystem::ForwardingFileSystem;
//       Status remove(const std::string& path) override { ++removed; return below_.remove(path); }
//   };
#pragma once

#include "io/file.h"

namespace sluice::io {

class ForwardingFileSystem : public FileSystem {
  public:
    // `below` must outlive this.
    explicit ForwardingFileSystem(FileSystem& below) : below_(below) {}

    Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
        return below_.open(path, mode);
    }
    Status rename(const std::string& from, const std::string& to) override {
        return below_.rename(from, to);
    }
    Status remove(const std::string& path) override { return below_.remove(path); }
    Status create_dir(const std::string& path) override { return below_.create_dir(path); }
    Result<bool> exists(const std::string& path) override { return below_.exists(path); }
    Result<std::vector<std::string>> list(const std::string& path) override {
        return below_.list(path);
    }
    Status sync_dir(const std::string& path) override { return below_.sync_dir(path); }
    Result<std::unique_ptr<FileLock>> lock(const std::string& path) override {
        return below_.lock(path);
    }

  protected:
    FileSystem& below_;
};

}  // namespace sluice::io
