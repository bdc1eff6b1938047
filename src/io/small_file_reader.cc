#include "io/small_file_reader.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <liburing.h>

#include <array>
#include <cerrno>

#include "base/check.h"
#include "base/syscall.h"
#include "io/posix_file_system.h"

namespace sluice::io {
namespace {

// Entries of one file's chain, by which its completions are told apart.
enum Step : unsigned { kOpen, kRead, kClose, kSteps };

// Fills the buffer or comes to the end of the file. Bytes, or -errno.
int read_plainly(int fd, std::span<std::byte> to) noexcept {
    std::size_t done = 0;
    while (done < to.size()) {
        const ssize_t n =
            sys::pread(fd, to.data() + done, to.size() - done, static_cast<off_t>(done));
        if (n < 0) return static_cast<int>(n);
        if (n == 0) break;
        done += static_cast<std::size_t>(n);
    }
    return static_cast<int>(done);
}

}  // namespace

struct SmallFileReader::Ring {
    // nullptr: the kernel does not offer what is needed, or forbids it.
    static std::unique_ptr<Ring> make() {
        constexpr unsigned kEntries = limits::kSmallFilesBatch * kSteps;
        auto made = std::make_unique<Ring>();
        if (io_uring_queue_init(kEntries, &made->ring, 0) < 0) return nullptr;
        made->is_open = true;
        if (io_uring_register_files_sparse(&made->ring, limits::kSmallFilesBatch) < 0) {
            return nullptr;
        }
        return made;
    }
    Ring() = default;
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;
    ~Ring() {
        if (is_open) io_uring_queue_exit(&ring);
    }

    io_uring_sqe* entry() noexcept {
        io_uring_sqe* const entry = io_uring_get_sqe(&ring);
        SLUICE_CHECK(entry != nullptr);  // there is room for a whole batch
        return entry;
    }

    io_uring ring{};
    bool is_open = false;
};

SmallFileReader::SmallFileReader(std::size_t file_bytes_max, bool io_uring)
    : file_bytes_max_(file_bytes_max),
      // One byte more each: it shows a file that is too large.
      buffers_((file_bytes_max + 1) * limits::kSmallFilesBatch),
      ring_(io_uring ? Ring::make() : nullptr) {
    SLUICE_CHECK(file_bytes_max > 0 && file_bytes_max <= limits::kSmallFileBytesMax);
    contents_.reserve(limits::kSmallFilesBatch);
}

SmallFileReader::~SmallFileReader() = default;

std::span<std::byte> SmallFileReader::buffer(std::size_t index) noexcept {
    return std::span(buffers_).subspan(index * (file_bytes_max_ + 1), file_bytes_max_ + 1);
}

SmallFileReader::Content SmallFileReader::content(const std::string& path, std::size_t index,
                                                  int opened, int read) const {
    if (opened < 0) return fail(Error::from_errno(opened, fmt::format("open {}", path)));
    if (read < 0) return fail(Error::from_errno(read, fmt::format("read {}", path)));
    const auto bytes = static_cast<std::size_t>(read);
    if (bytes > file_bytes_max_) {
        return fail(Code::kOutOfRange,
                    fmt::format("{} has more than {} bytes", path, file_bytes_max_));
    }
    return std::span(buffers_).subspan(index * (file_bytes_max_ + 1), bytes);
}

std::span<const SmallFileReader::Content> SmallFileReader::read(
    std::span<const std::string> paths) {
    SLUICE_CHECK(paths.size() <= limits::kSmallFilesBatch);
    contents_.clear();
    if (ring_ != nullptr) {
        read_by_ring(paths);
        return contents_;
    }
    for (std::size_t i = 0; i < paths.size(); ++i) {
        const auto file = open_descriptor(paths[i], OpenMode::kRead);
        if (!file) {
            contents_.emplace_back(fail(file.error()));
            continue;
        }
        contents_.push_back(content(paths[i], i, 0, read_plainly(file->get(), buffer(i))));
    }
    return contents_;
}

// A read that comes out short is the end of a regular file, and breaks no chain of hard links; a
// failed open ends its chain.
void SmallFileReader::read_by_ring(std::span<const std::string> paths) {
    for (std::size_t i = 0; i < paths.size(); ++i) {
        const auto slot = static_cast<unsigned>(i);
        const std::span<std::byte> to = buffer(i);
        io_uring_sqe* const open = ring_->entry();
        io_uring_prep_openat_direct(open, AT_FDCWD, paths[i].c_str(), O_RDONLY, 0, slot);
        open->flags |= IOSQE_IO_LINK;
        open->user_data = i * kSteps + kOpen;
        io_uring_sqe* const read = ring_->entry();
        io_uring_prep_read(read, static_cast<int>(slot), to.data(),
                           static_cast<unsigned>(to.size()), 0);
        read->flags |= IOSQE_FIXED_FILE | IOSQE_IO_HARDLINK;
        read->user_data = i * kSteps + kRead;
        io_uring_sqe* const close = ring_->entry();
        io_uring_prep_close_direct(close, slot);
        close->user_data = i * kSteps + kClose;
    }
    std::array<std::array<int, kSteps>, limits::kSmallFilesBatch> results{};
    std::size_t missing = paths.size() * kSteps;
    while (missing > 0) {
        const int result = io_uring_submit_and_wait(&ring_->ring, static_cast<unsigned>(missing));
        // The kernel has the buffers: there is no way back before it has completed all.
        SLUICE_CHECK(result >= 0 || result == -EINTR || result == -EAGAIN || result == -EBUSY);
        io_uring_cqe* completion = nullptr;
        while (io_uring_peek_cqe(&ring_->ring, &completion) == 0) {
            const std::uint64_t which = completion->user_data;
            results[which / kSteps][which % kSteps] = completion->res;
            io_uring_cqe_seen(&ring_->ring, completion);
            --missing;
        }
    }
    for (std::size_t i = 0; i < paths.size(); ++i) {
        const auto& [opened, read, closed] = results[i];
        SLUICE_CHECK(opened < 0 || closed == 0);  // else its slot stays taken
        contents_.push_back(content(paths[i], i, opened, read));
    }
}

}  // namespace sluice::io
