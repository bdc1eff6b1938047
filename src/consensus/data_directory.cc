#include "consensus/data_directory.h"

#include <fmt/core.h>

#include <charconv>
#include <span>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/limits.h"

namespace sluice::consensus {
namespace {

constexpr unsigned kVersion = 1;

// Text, so that an operator can read it; the last line is the CRC-32C of those before it.
//   sluice-member 1
//   member-id 8e9e05c52164694d
//   cluster-id cdf818194e3a8c32
//   crc 0a1b2c3d
std::string encode(const DataDirectory::Identity& identity) {
    std::string text = fmt::format("sluice-member {}\nmember-id {:016x}\ncluster-id {:016x}\n",
                                   kVersion, identity.member_id, identity.cluster_id);
    text += fmt::format("crc {:08x}\n", crc32c::extend(0, text));
    return text;
}

// The value behind "name " up to the end of the line; takes the line off the text.
bool take_line(std::string_view& text, std::string_view name, int base, std::uint64_t& value) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos || !text.starts_with(name)) return false;
    const std::string_view digits = text.substr(name.size(), end - name.size());
    const auto [at, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    text.remove_prefix(end + 1);
    return error == std::errc() && at == digits.data() + digits.size();
}

Result<DataDirectory::Identity> decode(std::string_view text, const std::string& path) {
    const auto damaged = [&] {
        return fail(Code::kDataLoss, fmt::format("{} is damaged; it names the member: restore it "
                                                 "from a copy, or restore a snapshot",
                                                 path));
    };
    std::string_view rest = text;
    std::uint64_t version = 0;
    std::uint64_t crc = 0;
    DataDirectory::Identity identity;
    if (!take_line(rest, "sluice-member ", 10, version)) return damaged();
    if (version > kVersion) {
        return fail(Code::kFailedPrecondition,
                    fmt::format("{} has format version {}, this program reads up to {}", path,
                                version, kVersion));
    }
    if (!take_line(rest, "member-id ", 16, identity.member_id) ||
        !take_line(rest, "cluster-id ", 16, identity.cluster_id)) {
        return damaged();
    }
    const std::string_view covered = text.substr(0, text.size() - rest.size());
    if (!take_line(rest, "crc ", 16, crc) || !rest.empty() || crc != crc32c::extend(0, covered) ||
        identity.member_id == 0 || identity.cluster_id == 0) {
        return damaged();
    }
    return identity;
}

std::string parent_of(const std::string& dir) {
    const std::size_t slash = dir.find_last_of('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : dir.substr(0, slash);
}

// Creates what is missing of the path. The parents' names are synced here, the directory's own
// name in make_durable().
Status ensure_dir(io::FileSystem& fs, const std::string& dir) {
    Status created = fs.create_dir(dir);
    if (created || created.error().code() == Code::kAlreadyExists) return {};
    if (created.error().code() != Code::kNotFound) return created;
    const std::string parent = parent_of(dir);
    SLUICE_TRY(ensure_dir(fs, parent));
    SLUICE_TRY(fs.sync_dir(parent_of(parent)));
    created = fs.create_dir(dir);
    if (created || created.error().code() == Code::kAlreadyExists) return {};
    return created;
}

}  // namespace

Result<std::unique_ptr<DataDirectory>> DataDirectory::open(io::FileSystem& fs, std::string dir,
                                                           Identity if_new) {
    SLUICE_CHECK(if_new.member_id != 0 && if_new.cluster_id != 0);
    while (dir.size() > 1 && dir.ends_with('/')) dir.pop_back();
    SLUICE_TRY(ensure_dir(fs, dir));
    auto lock = fs.lock(dir + "/LOCK");
    if (!lock) {
        if (lock.error().code() != Code::kFailedPrecondition) return fail(lock.error());
        return fail(
            Code::kFailedPrecondition,
            fmt::format("another process uses the data directory {} (its LOCK is held)", dir));
    }
    std::unique_ptr<DataDirectory> data(new DataDirectory(fs, std::move(dir), std::move(*lock)));
    SLUICE_TRY(data->find_identity(if_new));
    return data;
}

Status DataDirectory::find_identity(Identity if_new) {
    const std::string path = member_path();
    SLUICE_TRY_ASSIGN(const bool exists, fs_.exists(path));
    if (exists) {
        SLUICE_TRY_ASSIGN(const auto file, fs_.open(path, io::OpenMode::kRead));
        std::vector<std::byte> bytes(limits::kMemberFileBytesMax);
        SLUICE_TRY_ASSIGN(const std::size_t n, file->pread(bytes, 0));
        SLUICE_TRY_ASSIGN(identity_,
                          decode({reinterpret_cast<const char*>(bytes.data()), n}, path));
        return {};
    }
    // A log without its owner's name: the file was lost, and a new name would let the member vote
    // twice.
    SLUICE_TRY_ASSIGN(const bool has_log_dir, fs_.exists(wal_dir()));
    if (has_log_dir) {
        SLUICE_TRY_ASSIGN(const auto segments, fs_.list(wal_dir()));
        if (!segments.empty()) {
            return fail(Code::kDataLoss,
                        fmt::format("{} is missing, but there is a log in {}", path, wal_dir()));
        }
    }
    identity_ = if_new;
    created_ = true;
    return {};
}

Status DataDirectory::write_identity() {
    const std::string path = member_path();
    const std::string unfinished = path + ".tmp";
    const std::string text = encode(identity_);
    SLUICE_TRY_ASSIGN(const auto file, fs_.open(unfinished, io::OpenMode::kCreate));
    SLUICE_TRY(file->truncate(0));
    SLUICE_TRY(file->pwrite(std::as_bytes(std::span(text)), 0));
    SLUICE_TRY(file->fdatasync());
    return fs_.rename(unfinished, path);
}

Status DataDirectory::make_durable(bool log_inside) {
    if (!created_) return {};
    SLUICE_TRY(write_identity());
    if (log_inside) {
        const Status made = fs_.create_dir(wal_dir());
        if (!made && made.error().code() != Code::kAlreadyExists) return made;
    }
    SLUICE_TRY(fs_.sync_dir(dir_));
    return fs_.sync_dir(parent_of(dir_));
}

}  // namespace sluice::consensus
