#include "io/posix_file_system.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "base/syscall.h"

namespace sluice::io {
namespace {

std::unexpected<Error> failed(int negative_errno, const char* call, const std::string& path) {
    return fail(Error::from_errno(negative_errno, fmt::format("{} {}", call, path)));
}

Status checked(int result, const char* call, const std::string& path) {
    if (result < 0) return failed(result, call, path);
    return {};
}

class PosixFile final : public File {
  public:
    PosixFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {
        SLUICE_CHECK(fd_ >= 0);
    }
    ~PosixFile() override { sys::close(fd_); }
    PosixFile(const PosixFile&) = delete;
    PosixFile& operator=(const PosixFile&) = delete;

    Result<std::size_t> pread(std::span<std::byte> to, std::uint64_t offset) override;
    Status pwrite(std::span<const std::byte> from, std::uint64_t offset) override;
    Status fallocate(std::uint64_t offset, std::uint64_t bytes) override;
    Result<std::uint64_t> size() override;

    Status fdatasync() override { return checked(sys::fdatasync(fd_), "fdatasync", path_); }
    Status truncate(std::uint64_t bytes) override {
        return checked(sys::ftruncate(fd_, static_cast<off_t>(bytes)), "truncate", path_);
    }

  private:
    Status write_zeros(std::uint64_t from, std::uint64_t to);

    const int fd_;
    const std::string path_;
};

Result<std::size_t> PosixFile::pread(std::span<std::byte> to, std::uint64_t offset) {
    std::size_t done = 0;
    while (done < to.size()) {
        const ssize_t n =
            sys::pread(fd_, to.data() + done, to.size() - done, static_cast<off_t>(offset + done));
        if (n < 0) return failed(static_cast<int>(n), "read", path_);
        if (n == 0) break;
        done += static_cast<std::size_t>(n);
    }
    SLUICE_ASSERT(done <= to.size());
    return done;
}

Status PosixFile::pwrite(std::span<const std::byte> from, std::uint64_t offset) {
    std::size_t done = 0;
    while (done < from.size()) {
        const ssize_t n = sys::pwrite(fd_, from.data() + done, from.size() - done,
                                      static_cast<off_t>(offset + done));
        if (n < 0) return failed(static_cast<int>(n), "write", path_);
        SLUICE_CHECK(n > 0);
        done += static_cast<std::size_t>(n);
    }
    return {};
}

Status PosixFile::fallocate(std::uint64_t offset, std::uint64_t bytes) {
    const int result =
        sys::fallocate(fd_, 0, static_cast<off_t>(offset), static_cast<off_t>(bytes));
    if (result != -EOPNOTSUPP) return checked(result, "fallocate", path_);
    SLUICE_TRY_ASSIGN(const std::uint64_t end, size());
    if (offset + bytes <= end) return {};
    return write_zeros(end, offset + bytes);
}

Status PosixFile::write_zeros(std::uint64_t from, std::uint64_t to) {
    const std::vector<std::byte> zeros(limits::kChunkLargeBytes);
    while (from < to) {
        const std::size_t step = std::min<std::uint64_t>(zeros.size(), to - from);
        SLUICE_TRY(pwrite(std::span(zeros).first(step), from));
        from += step;
    }
    return {};
}

Result<std::uint64_t> PosixFile::size() {
    struct stat info{};
    const int result = sys::fstat(fd_, &info);
    if (result < 0) return failed(result, "stat", path_);
    return static_cast<std::uint64_t>(info.st_size);
}

// flock() belongs to the open file description, so a second lock() fails in this process, too.
class PosixFileLock final : public FileLock {
  public:
    explicit PosixFileLock(int fd) : fd_(fd) {}
    ~PosixFileLock() override { sys::close(fd_); }
    PosixFileLock(const PosixFileLock&) = delete;
    PosixFileLock& operator=(const PosixFileLock&) = delete;

  private:
    const int fd_;
};

int open_flags(OpenMode mode) {
    switch (mode) {
        case OpenMode::kRead:
            return O_RDONLY;
        case OpenMode::kReadWrite:
            return O_RDWR;
        case OpenMode::kReadWriteDirect:
            return O_RDWR | O_DIRECT;
        case OpenMode::kCreate:
            return O_RDWR | O_CREAT;
        case OpenMode::kCreateNew:
            return O_RDWR | O_CREAT | O_EXCL;
    }
    SLUICE_CHECK(false);
    return 0;
}

class PosixFileSystem final : public FileSystem {
  public:
    Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
        SLUICE_TRY_ASSIGN(Descriptor fd, open_descriptor(path, mode));
        return std::make_unique<PosixFile>(fd.release(), path);
    }

    Status rename(const std::string& from, const std::string& to) override {
        return checked(sys::rename(from.c_str(), to.c_str()), "rename", from);
    }
    Status remove(const std::string& path) override {
        return checked(sys::unlink(path.c_str()), "remove", path);
    }
    Status create_dir(const std::string& path) override {
        return checked(sys::mkdir(path.c_str(), 0700), "create directory", path);
    }

    Result<bool> exists(const std::string& path) override {
        struct stat info{};
        const int result = sys::stat(path.c_str(), &info);
        if (result == -ENOENT || result == -ENOTDIR) return false;
        if (result < 0) return failed(result, "stat", path);
        return true;
    }

    Result<std::vector<std::string>> list(const std::string& path) override {
        std::vector<std::string> names;
        const int result = sys::list(path.c_str(), names);
        if (result < 0) return failed(result, "list", path);
        std::sort(names.begin(), names.end());
        return names;
    }

    Status sync_dir(const std::string& path) override {
        const int fd = sys::open(path.c_str(), O_RDONLY | O_DIRECTORY, 0);
        if (fd < 0) return failed(fd, "open directory", path);
        const int result = sys::fsync(fd);
        sys::close(fd);
        return checked(result, "sync directory", path);
    }

    Result<std::unique_ptr<FileLock>> lock(const std::string& path) override {
        const int fd = sys::open(path.c_str(), O_RDWR | O_CREAT, 0600);
        if (fd < 0) return failed(fd, "open", path);
        auto held = std::make_unique<PosixFileLock>(fd);
        const int result = sys::flock(fd, LOCK_EX | LOCK_NB);
        if (result == -EWOULDBLOCK) {
            return fail(Code::kFailedPrecondition,
                        fmt::format("{} is locked by another process", path));
        }
        if (result < 0) return failed(result, "lock", path);
        return held;
    }
};

}  // namespace

Result<Descriptor> open_descriptor(const std::string& path, OpenMode mode) {
    int fd = sys::open(path.c_str(), open_flags(mode), 0600);
    if (fd == -EINVAL && mode == OpenMode::kReadWriteDirect) {
        fd = sys::open(path.c_str(), open_flags(OpenMode::kReadWrite), 0600);
    }
    if (fd < 0) return failed(fd, "open", path);
    return Descriptor(fd);
}

std::unique_ptr<FileSystem> make_posix_file_system() {
    return std::make_unique<PosixFileSystem>();
}

}  // namespace sluice::io
