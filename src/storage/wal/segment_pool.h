// Makes and recycles segment files, so that an fdatasync of the log never changes metadata.
//
// A segment's blocks are all written before it is used (zeros, or its former life): overwriting
// them allocates nothing and converts no extents, and fdatasync is the data alone (measured:
// docs/decisions/0003-wal.md). take() prefers a spare: one that release() kept, or one that
// was prepared in the background. Without a spare it writes a small segment inline.
//
// BLOCKS on the disk. take(), release() and want_spare() are for the log's writing thread; the
// background thread is the pool's own and ends with it.
//
// Names: "spare-<n>.seg" is ready for use; "*.tmp" is unfinished and removed at start.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "io/file.h"
#include "storage/wal/format.h"

namespace sluice::storage::wal {

class SegmentPool {
  public:
    struct Options {
        std::string dir;
        std::uint64_t segment_bytes = 0;  // prepared in the background
        std::uint64_t small_bytes = 0;    // written inline
        bool background = true;
    };
    struct Segment {
        std::unique_ptr<io::File> file;
        std::uint64_t bytes = 0;
        bool recycled = false;
    };

    // Removes what a crash left unfinished and finds the spares.
    static Result<std::unique_ptr<SegmentPool>> open(io::FileSystem& fs, Options options);
    ~SegmentPool();

    // A segment of at least `bytes_min` under the name `path`, its header durable before the name
    // is. `header.segment_bytes` is filled in here.
    Result<Segment> take(const std::string& path, std::uint64_t bytes_min, SegmentHeader header);

    // Gives up the segment, durably: renamed to a spare if it has full size and spares are few,
    // else removed.
    Status release(const std::string& path, std::uint64_t bytes);

    // Starts preparing a spare unless there is one or one is being prepared.
    void want_spare();
    // For tests: waits until a wanted spare is there or has failed.
    void wait_prepared();

    std::uint64_t created() const;
    std::uint64_t recycled() const;

  private:
    struct Spare {
        std::string path;
        std::uint64_t bytes;
    };

    SegmentPool(io::FileSystem& fs, Options options);
    Status find_spares();
    // A file of zeros behind `head` under `path`, durable. Ends early with kCancelled when the pool
    // stops.
    Status write_zeros(const std::string& path, std::uint64_t bytes,
                       std::span<const std::byte> head = {});
    void prepare_loop();
    Status prepare_one();
    bool pop_spare(std::uint64_t bytes_min, Spare& out);

    io::FileSystem& fs_;
    const Options options_;

    mutable std::mutex mutex_;  // guards what follows
    std::condition_variable changed_;
    std::vector<Spare> spares_;
    std::uint64_t next_spare_ = 1;
    std::uint64_t created_ = 0;
    std::uint64_t recycled_ = 0;
    bool wanted_ = false;
    bool failed_ = false;  // the last preparation: not tried again until a segment was taken
    bool stopping_ = false;
    std::thread thread_;  // started by the first want_spare()
};

}  // namespace sluice::storage::wal
