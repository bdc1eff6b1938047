// SmallFileReader: whole small files, many at a time. For indexes, manifests and other folders of
// tiny files, where opening and closing cost more than the bytes.
//
// Where io_uring is allowed (Linux 5.19) a file is a chain of three entries, open - read - close,
// and a batch of chains is one system call. The files take no descriptors: they are opened into the
// ring's own table. That is a quarter less CPU a file than open(), read(), close(); elsewhere these
// are what it calls.
//
// read() blocks, so it runs on a thread of the blocking pool; a few fibers, each with a reader of
// its own, share a long list (bench/small_files):
//
//   io::SmallFileReader reader(4096);
//   rt::blocking([&] {
//       for (const auto& content : reader.read(paths)) { if (content) use(*content); }
//   });
//
// One call at a time, on any thread. Memory: file_bytes_max for each of limits::kSmallFilesBatch
// files, and a ring.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/result.h"

namespace sluice::io {

class SmallFileReader {
  public:
    using Content = Result<std::span<const std::byte>>;

    // Of at most limits::kSmallFileBytesMax. Without `io_uring` it makes the plain calls.
    explicit SmallFileReader(std::size_t file_bytes_max, bool io_uring = true);
    SmallFileReader(const SmallFileReader&) = delete;
    SmallFileReader& operator=(const SmallFileReader&) = delete;
    ~SmallFileReader();

    // The files' contents in the order of `paths`, at most limits::kSmallFilesBatch. They are valid
    // until the next call. Errors are the file's own and concern no other: kNotFound and the like;
    // kOutOfRange for a file of more than file_bytes_max.
    std::span<const Content> read(std::span<const std::string> paths);

    bool uses_io_uring() const noexcept { return ring_ != nullptr; }

  private:
    struct Ring;

    void read_by_ring(std::span<const std::string> paths);
    Content content(const std::string& path, std::size_t index, int opened, int read) const;
    std::span<std::byte> buffer(std::size_t index) noexcept;

    const std::size_t file_bytes_max_;
    std::vector<std::byte> buffers_;
    std::vector<Content> contents_;
    std::unique_ptr<Ring> ring_;
};

}  // namespace sluice::io
