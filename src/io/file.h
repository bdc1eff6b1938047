// Files and directories behind an interface, so that a fault layer or a simulator can stand in.
//
// Every call BLOCKS the calling thread for as long as the disk takes. Who calls decides on which
// thread that is: a dedicated thread (the log writer), or rt::blocking(). Never call from a fiber
// on a worker directly. No call suspends a fiber.
//
// A FileSystem and a File may be used by several threads at once; the order of concurrent writes to
// overlapping bytes is not defined. A File is closed by its destructor, which does not sync.
//
// What is durable when: bytes after fdatasync() of their File; a new, renamed or removed name after
// sync_dir() of its directory. Errors: kNotFound, kAlreadyExists, kPermissionDenied,
// kResourceExhausted (no space, no quota, no descriptors), otherwise kInternal; the message names
// the call and the path. After a failed fdatasync() the kernel may have dropped the dirty pages:
// the caller must not retry it and believe the second answer.
//
//   auto file = fs.open("wal/000001.seg", OpenMode::kCreateNew);
//   if (!file) return fail(file.error());
//   SLUICE_TRY((*file)->fallocate(0, kSegmentBytes));
//   SLUICE_TRY((*file)->pwrite(record, 0));
//   SLUICE_TRY((*file)->fdatasync());
//   SLUICE_TRY(fs.sync_dir("wal"));
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace sluice::io {

enum class OpenMode : std::uint8_t {
    kRead,       // an existing file, for reading
    kReadWrite,  // an existing file
    // An existing file, past the page cache where the file system can do that: memory, offsets and
    // sizes of reads and writes must be multiples of 4096.
    kReadWriteDirect,
    kCreate,     // an existing file or a new, empty one
    kCreateNew,  // a new, empty file; kAlreadyExists if the name is taken
};

class File {
  public:
    virtual ~File() = default;

    // Reads until `to` is full or the file ends. Returns the number of bytes; less means the end.
    virtual Result<std::size_t> pread(std::span<std::byte> to, std::uint64_t offset) = 0;

    // Writes all bytes or fails; after a failure any part of them may have been written.
    virtual Status pwrite(std::span<const std::byte> from, std::uint64_t offset) = 0;

    // Makes the bytes (and the file's length) durable.
    virtual Status fdatasync() = 0;

    // Reserves disk space for the range; the file grows to its end, and new bytes read as zero.
    // Where the file system cannot reserve, zeros are written behind the old end instead.
    virtual Status fallocate(std::uint64_t offset, std::uint64_t bytes) = 0;
    virtual Status truncate(std::uint64_t bytes) = 0;
    virtual Result<std::uint64_t> size() = 0;
};

// A held lock on a file; the destructor (or the process's end) gives it up.
class FileLock {
  public:
    virtual ~FileLock() = default;
};

class FileSystem {
  public:
    virtual ~FileSystem() = default;

    virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
    // Replaces an existing `to`, atomically.
    virtual Status rename(const std::string& from, const std::string& to) = 0;
    virtual Status remove(const std::string& path) = 0;      // a file
    virtual Status create_dir(const std::string& path) = 0;  // kAlreadyExists if it is there
    virtual Result<bool> exists(const std::string& path) = 0;
    // The names in a directory, sorted bytewise, without "." and "..".
    virtual Result<std::vector<std::string>> list(const std::string& path) = 0;
    virtual Status sync_dir(const std::string& path) = 0;
    // Takes the exclusive lock on the file (created if missing), without waiting.
    // kFailedPrecondition: another holder, of this or of another process, has it.
    virtual Result<std::unique_ptr<FileLock>> lock(const std::string& path) = 0;
};

}  // namespace sluice::io
