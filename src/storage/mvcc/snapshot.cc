#include "storage/mvcc/snapshot.h"

#include <fcntl.h>
#include <openssl/evp.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

#include "base/byte_order.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/syscall.h"
#include "storage/mvcc/core.h"
#include "storage/mvcc/store.h"

namespace sluice::storage {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "SLUICEKV";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeadBytes = 16;     // magic, version, length of the table of contents
constexpr std::size_t kTrailerBytes = 32;  // SHA-256
constexpr std::size_t kBlockBytes = 512;   // see encode_head()

struct FileEntry {
    std::string name;
    std::uint64_t bytes = 0;
};

// Sums up bytes in order; result() once, at the end.
class Sha256 {
  public:
    Sha256() : context_(EVP_MD_CTX_new()) {
        SLUICE_CHECK(context_ != nullptr);
        SLUICE_CHECK(EVP_DigestInit_ex(context_, EVP_sha256(), nullptr) == 1);
    }
    ~Sha256() { EVP_MD_CTX_free(context_); }
    Sha256(const Sha256&) = delete;
    Sha256& operator=(const Sha256&) = delete;

    void add(std::string_view bytes) {
        SLUICE_CHECK(EVP_DigestUpdate(context_, bytes.data(), bytes.size()) == 1);
    }
    std::string result() {
        std::string out(kTrailerBytes, '\0');
        unsigned size = 0;
        SLUICE_CHECK(
            EVP_DigestFinal_ex(context_, reinterpret_cast<unsigned char*>(out.data()), &size) == 1);
        SLUICE_CHECK(size == kTrailerBytes);
        return out;
    }

  private:
    EVP_MD_CTX* context_;
};

// The head is padded so that the stream without its trailer is a multiple of kBlockBytes: etcdctl
// takes the last 32 bytes of a snapshot for a checksum only then.
std::string encode_head(const std::vector<FileEntry>& files) {
    std::string table;
    std::uint64_t total = kHeadBytes;
    for (const FileEntry& file : files) {
        char number[8];
        store_le16(number, static_cast<std::uint16_t>(file.name.size()));
        table.append(number, 2).append(file.name);
        store_le64(number, file.bytes);
        table.append(number, 8);
        total += file.bytes;
    }
    table.append((kBlockBytes - (total + table.size()) % kBlockBytes) % kBlockBytes, '\0');
    std::string head(kMagic);
    char number[4];
    store_le32(number, kVersion);
    head.append(number, 4);
    store_le32(number, static_cast<std::uint32_t>(table.size()));
    return head.append(number, 4).append(table);
}

// A name is one path component of RocksDB's: letters, digits, '.', '-', '_'.
bool plain_name(std::string_view name) {
    return !name.empty() && name != "." && name != ".." &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '-' || c == '_';
           });
}

bool parse_table(std::string_view table, std::vector<FileEntry>& files) {
    const auto padding = [&] { return table.find_first_not_of('\0') == table.npos; };
    while (!padding()) {
        if (table.size() < 2) return false;
        const std::size_t name_bytes = load_le16(table.data());
        if (table.size() < 2 + name_bytes + 8) return false;
        const auto name = table.substr(2, name_bytes);
        if (!plain_name(name)) return false;
        files.push_back({std::string(name), load_le64(table.data() + 2 + name_bytes)});
        table.remove_prefix(2 + name_bytes + 8);
    }
    return !files.empty();
}

Error file_error(const fs::path& path, std::string_view what) {
    return {Code::kInternal, "snapshot: cannot " + std::string(what) + " " + path.string()};
}

Status sync_path(const fs::path& path) {
    const int fd = sys::open(path.c_str(), O_RDONLY, 0);
    if (fd < 0) return fail(Error::from_errno(fd, "snapshot: open " + path.string()));
    const int synced = sys::fsync(fd);
    sys::close(fd);
    if (synced < 0) return fail(Error::from_errno(synced, "snapshot: sync " + path.string()));
    return {};
}

}  // namespace

struct SnapshotReader::Impl {
    ~Impl() {
        std::error_code ignored;
        fs::remove_all(dir, ignored);
    }

    Status open_next();
    Status fill(std::size_t bytes_max, std::string& chunk);

    fs::path dir;
    std::vector<FileEntry> files;
    std::string head;
    std::uint64_t total = 0;
    std::uint64_t given = 0;
    std::size_t file = 0;      // being read
    std::uint64_t offset = 0;  // within it
    std::ifstream in;
    Sha256 sha;
    std::string trailer;
};

Status SnapshotReader::Impl::open_next() {
    const fs::path path = dir / files[file].name;
    in = std::ifstream(path, std::ios::binary);
    if (!in) return fail(file_error(path, "open"));
    return {};
}

// Appends file bytes, at most bytes_max; at least one unless all files are through.
Status SnapshotReader::Impl::fill(std::size_t bytes_max, std::string& chunk) {
    while (file < files.size() && offset == files[file].bytes) {
        ++file;
        offset = 0;
    }
    if (file == files.size()) return {};
    if (offset == 0) SLUICE_TRY(open_next());
    const auto want = std::min<std::uint64_t>(bytes_max, files[file].bytes - offset);
    const std::size_t before = chunk.size();
    chunk.resize(before + want);
    in.read(chunk.data() + before, static_cast<std::streamsize>(want));
    if (static_cast<std::uint64_t>(in.gcount()) != want) {
        return fail(file_error(dir / files[file].name, "read"));
    }
    offset += want;
    return {};
}

SnapshotReader::SnapshotReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SnapshotReader::~SnapshotReader() = default;

std::uint64_t SnapshotReader::size() const noexcept {
    return impl_->total;
}
std::uint64_t SnapshotReader::remaining() const noexcept {
    return impl_->total - impl_->given;
}

Status SnapshotReader::next(std::size_t bytes_max, std::string& chunk) {
    SLUICE_CHECK(bytes_max > 0);
    Impl& r = *impl_;
    chunk.clear();
    while (chunk.size() < bytes_max && remaining() > 0) {
        const std::size_t room = bytes_max - chunk.size();
        const std::size_t before = chunk.size();
        const std::uint64_t trailer_at = r.total - kTrailerBytes;
        if (r.given < r.head.size()) {
            chunk.append(r.head, r.given, room);
        } else if (r.given < trailer_at) {
            SLUICE_TRY(r.fill(room, chunk));
            SLUICE_CHECK(chunk.size() > before);
        } else {
            if (r.trailer.empty()) r.trailer = r.sha.result();
            chunk.append(r.trailer, r.given - trailer_at, room);
        }
        const std::string_view added = std::string_view(chunk).substr(before);
        if (r.given < trailer_at) r.sha.add(added);
        r.given += added.size();
        SLUICE_CHECK(r.given <= r.total);
    }
    return {};
}

Result<std::unique_ptr<SnapshotReader>> MvccStore::snapshot() const {
    auto impl = std::make_unique<SnapshotReader::Impl>();
    const fs::path parent = fs::path(core_->options.dir) / "snapshots";
    std::error_code error;
    fs::create_directories(parent, error);
    impl->dir = parent / std::to_string(core_->snapshots.fetch_add(1));
    SLUICE_TRY(checkpoint(impl->dir.string()));
    for (const auto& entry : fs::directory_iterator(impl->dir, error)) {
        const auto bytes = entry.file_size(error);
        if (error) break;
        impl->files.push_back({entry.path().filename().string(), bytes});
    }
    if (error) return fail(file_error(impl->dir, "list"));
    std::sort(impl->files.begin(), impl->files.end(),
              [](const FileEntry& a, const FileEntry& b) { return a.name < b.name; });
    impl->head = encode_head(impl->files);
    impl->total = impl->head.size() + kTrailerBytes;
    for (const FileEntry& file : impl->files) impl->total += file.bytes;
    return std::unique_ptr<SnapshotReader>(new SnapshotReader(std::move(impl)));
}

struct SnapshotWriter::Impl {
    enum class State : std::uint8_t { kHead, kFiles, kTrailer };

    Status take_head();
    Status next_file();
    Status take_files(std::string_view& bytes);

    fs::path dir;
    State state = State::kHead;
    std::string buffer;  // the head, then the trailer, until they are whole
    std::vector<FileEntry> files;
    std::size_t file = 0;
    std::uint64_t left = 0;  // bytes of the open file
    std::ofstream out;
    Sha256 sha;
    bool finished = false;
};

Status SnapshotWriter::Impl::next_file() {
    while (true) {
        if (out.is_open()) {
            out.close();
            if (!out) return fail(file_error(dir / files[file - 1].name, "write"));
        }
        if (file == files.size()) {
            state = State::kTrailer;
            return {};
        }
        const fs::path path = dir / files[file].name;
        out = std::ofstream(path, std::ios::binary | std::ios::trunc);
        if (!out) return fail(file_error(path, "create"));
        left = files[file].bytes;
        ++file;
        if (left > 0) return {};
    }
}

// Parses the head if the buffer holds all of it.
Status SnapshotWriter::Impl::take_head() {
    if (buffer.size() < kHeadBytes) return {};
    const std::uint32_t table_bytes = load_le32(buffer.data() + 12);
    if (!buffer.starts_with(kMagic) || load_le32(buffer.data() + 8) != kVersion ||
        table_bytes > limits::kSnapshotTableBytesMax) {
        return fail(Code::kDataLoss, "snapshot: this is no snapshot of a version that is known");
    }
    if (buffer.size() < kHeadBytes + table_bytes) return {};
    if (!parse_table(std::string_view(buffer).substr(kHeadBytes, table_bytes), files)) {
        return fail(Code::kDataLoss, "snapshot: its table of contents is damaged");
    }
    sha.add(std::string_view(buffer).substr(0, kHeadBytes + table_bytes));
    state = State::kFiles;
    return next_file();
}

Status SnapshotWriter::Impl::take_files(std::string_view& bytes) {
    const auto part = bytes.substr(0, std::min<std::uint64_t>(left, bytes.size()));
    out.write(part.data(), static_cast<std::streamsize>(part.size()));
    if (!out) return fail(file_error(dir / files[file - 1].name, "write"));
    sha.add(part);
    bytes.remove_prefix(part.size());
    left -= part.size();
    return left == 0 ? next_file() : Status{};
}

SnapshotWriter::SnapshotWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

SnapshotWriter::~SnapshotWriter() {
    if (impl_->finished) return;
    std::error_code ignored;
    fs::remove_all(impl_->dir, ignored);
}

Result<std::unique_ptr<SnapshotWriter>> SnapshotWriter::create(const std::string& dir) {
    std::error_code error;
    fs::create_directories(dir, error);
    if (error || !fs::is_empty(dir, error) || error) {
        return fail(Code::kFailedPrecondition, "snapshot: " + dir + " must be a new folder");
    }
    auto impl = std::make_unique<Impl>();
    impl->dir = dir;
    return std::unique_ptr<SnapshotWriter>(new SnapshotWriter(std::move(impl)));
}

Status SnapshotWriter::write(std::string_view bytes) {
    Impl& w = *impl_;
    while (!bytes.empty()) {
        switch (w.state) {
            case Impl::State::kHead: {
                // Exactly as much as the head still needs, so that nothing must be put back.
                const std::size_t known = w.buffer.size() < kHeadBytes
                                              ? kHeadBytes
                                              : kHeadBytes + load_le32(w.buffer.data() + 12);
                const auto part = bytes.substr(0, known - w.buffer.size());
                w.buffer.append(part);
                bytes.remove_prefix(part.size());
                SLUICE_TRY(w.take_head());
                if (w.state != Impl::State::kHead) w.buffer.clear();
                break;
            }
            case Impl::State::kFiles:
                SLUICE_TRY(w.take_files(bytes));
                break;
            case Impl::State::kTrailer:
                if (w.buffer.size() + bytes.size() > kTrailerBytes) {
                    return fail(Code::kDataLoss, "snapshot: bytes after its end");
                }
                w.buffer.append(bytes);
                bytes = {};
                break;
        }
    }
    return {};
}

Status SnapshotWriter::finish() {
    Impl& w = *impl_;
    if (w.state != Impl::State::kTrailer || w.buffer.size() != kTrailerBytes) {
        return fail(Code::kDataLoss, "snapshot: it ends too early");
    }
    if (w.sha.result() != w.buffer) {
        return fail(Code::kDataLoss, "snapshot: its checksum does not match");
    }
    for (const FileEntry& file : w.files) SLUICE_TRY(sync_path(w.dir / file.name));
    SLUICE_TRY(sync_path(w.dir));
    w.finished = true;
    return {};
}

}  // namespace sluice::storage
