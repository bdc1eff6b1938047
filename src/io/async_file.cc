#include "io/async_file.h"

#include <fmt/core.h>

#include <cerrno>

#include "base/check.h"
#include "io/part_cursor.h"
#include "io/posix_file_system.h"
#include "rt/blocking.h"

namespace sluice::io {

Result<AsyncFile> AsyncFile::open(const std::string& path, OpenMode mode) {
    SLUICE_TRY_ASSIGN(Descriptor fd, rt::blocking([&] { return open_descriptor(path, mode); }));
    return AsyncFile(std::move(fd), path);
}

// A cancelled call may also come back interrupted; one that nobody cancelled is made again.
Result<std::size_t> AsyncFile::perform(Operation operation, const sync::Context& context,
                                       const char* call) {
    for (;;) {
        Operation attempt(operation);
        const std::int64_t result = attempt.run(context);
        if (result >= 0) return static_cast<std::size_t>(result);
        const bool called_off = result == -ECANCELED || result == -EINTR;
        if (called_off && context.ended()) return fail(context.status().error());
        if (result == -EINTR) continue;
        if (result == -EOPNOTSUPP) {
            return fail(Code::kUnimplemented,
                        fmt::format("{} {}: not on this file system", call, name_));
        }
        return fail(Error::from_errno(static_cast<int>(result), fmt::format("{} {}", call, name_)));
    }
}

Result<std::size_t> AsyncFile::pread(std::span<std::byte> to, std::uint64_t offset,
                                     const sync::Context& context) {
    std::size_t done = 0;
    while (done < to.size()) {
        SLUICE_TRY_ASSIGN(
            const std::size_t n,
            perform(Operation::read(fd(), to.subspan(done), offset + done), context, "read"));
        if (n == 0) break;
        done += n;
    }
    SLUICE_ASSERT(done <= to.size());
    return done;
}

Result<std::size_t> AsyncFile::preadv(std::span<const iovec> to, std::uint64_t offset,
                                      const sync::Context& context) {
    std::size_t done = 0;
    for (PartCursor rest(to); !rest.done();) {
        SLUICE_TRY_ASSIGN(
            const std::size_t n,
            perform(Operation::readv(fd(), rest.window(), offset + done), context, "read"));
        if (n == 0) break;
        rest.advance(n);
        done += n;
    }
    return done;
}

Status AsyncFile::pwrite(std::span<const std::byte> from, std::uint64_t offset,
                         const sync::Context& context) {
    std::size_t done = 0;
    while (done < from.size()) {
        SLUICE_TRY_ASSIGN(
            const std::size_t n,
            perform(Operation::write(fd(), from.subspan(done), offset + done), context, "write"));
        SLUICE_CHECK(n > 0);
        done += n;
    }
    return {};
}

Status AsyncFile::pwritev(std::span<const iovec> from, std::uint64_t offset,
                          const sync::Context& context) {
    for (PartCursor rest(from); !rest.done();) {
        SLUICE_TRY_ASSIGN(
            const std::size_t n,
            perform(Operation::writev(fd(), rest.window(), offset), context, "write"));
        SLUICE_CHECK(n > 0);
        rest.advance(n);
        offset += n;
    }
    return {};
}

Status AsyncFile::fsync(const sync::Context& context) {
    SLUICE_TRY(perform(Operation::fsync(fd()), context, "fsync"));
    return {};
}

Status AsyncFile::fdatasync(const sync::Context& context) {
    SLUICE_TRY(perform(Operation::fdatasync(fd()), context, "fdatasync"));
    return {};
}

Status AsyncFile::fallocate(std::uint64_t offset, std::uint64_t bytes,
                            const sync::Context& context) {
    SLUICE_TRY(perform(Operation::fallocate(fd(), offset, bytes), context, "fallocate"));
    return {};
}

Result<std::uint64_t> AsyncFile::size() {
    struct stat info{};
    const int result = rt::blocking([&] { return sys::fstat(fd(), &info); });
    if (result < 0) return fail(Error::from_errno(result, "stat " + name_));
    return static_cast<std::uint64_t>(info.st_size);
}

}  // namespace sluice::io
