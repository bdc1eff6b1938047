// A folder for one test's or one bench's files; it goes with the object, with all that is in it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/check.h"

namespace sluice {

class TemporaryDir {
  public:
    // Inside `parent`. Benches of the disk pass "." and are started on the disk they measure; the
    // system's folder may lie in memory.
    explicit TemporaryDir(
        const std::filesystem::path& parent = std::filesystem::temp_directory_path())
        : path_((parent / "sluice-XXXXXX").string()) {
        SLUICE_CHECK(::mkdtemp(path_.data()) != nullptr);
    }
    ~TemporaryDir() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryDir(const TemporaryDir&) = delete;
    TemporaryDir& operator=(const TemporaryDir&) = delete;

    const std::string& path() const noexcept { return path_; }
    std::string path(const std::string& name) const { return path_ + "/" + name; }

  private:
    std::string path_;
};

}  // namespace sluice
