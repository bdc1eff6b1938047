// Any bytes as a snapshot stream: refused with the same error however they are cut, or written into
// the folder that was named, and nowhere else.
//   mvcc_snapshot_fuzz test/corpus/mvcc_snapshot_fuzz
//
// Input: byte 0 bit 0 puts a valid head before the rest, bit 1 a valid sum behind it; byte 1 is the
// size of a piece.
#include <fmt/core.h>
#include <openssl/sha.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/check.h"
#include "storage/mvcc/snapshot.h"

namespace {

using namespace sluice;
using namespace sluice::storage;
namespace fs = std::filesystem;

// One folder a process, removed at its end.
class Folder {
  public:
    Folder()
        : path_(fs::temp_directory_path() / fmt::format("sluice-snapshot-fuzz-{}", ::getpid())) {
        fs::create_directories(path_);
    }
    ~Folder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    const fs::path& path() const { return path_; }
    std::size_t entries() const {
        return static_cast<std::size_t>(
            std::distance(fs::directory_iterator(path_), fs::directory_iterator{}));
    }

  private:
    fs::path path_;
};

// "ok", or the error's text; and whether the folder is there.
std::string restore(const Folder& parent, std::string_view bytes, std::size_t piece) {
    const fs::path target = parent.path() / "restored";
    std::string outcome = "ok";
    {
        auto writer = SnapshotWriter::create(target.string());
        SLUICE_CHECK(writer.has_value());
        Status status;
        while (status && !bytes.empty()) {
            status = (*writer)->write(bytes.substr(0, piece));
            bytes.remove_prefix(std::min(piece, bytes.size()));
        }
        if (status) status = (*writer)->finish();
        if (!status) outcome = status.error().message();
        SLUICE_CHECK(parent.entries() == 1);
    }
    SLUICE_CHECK(fs::exists(target) == (outcome == "ok"));
    fs::remove_all(target);
    return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Folder folder;
    if (size < 2) return 0;
    std::string stream(reinterpret_cast<const char*>(data) + 2, size - 2);
    if ((data[0] & 1) != 0) {
        // The table's length is the input's next byte.
        std::string head("SLUICEKV\1\0\0\0\0\0\0\0", 16);
        if (!stream.empty()) {
            head[12] = stream.front();
            stream.erase(0, 1);
        }
        stream.insert(0, head);
    }
    if ((data[0] & 2) != 0) {
        unsigned char sum[SHA256_DIGEST_LENGTH];
        SHA256(reinterpret_cast<const unsigned char*>(stream.data()), stream.size(), sum);
        stream.append(reinterpret_cast<const char*>(sum), sizeof sum);
    }
    const std::string whole = restore(folder, stream, stream.size() + 1);
    SLUICE_CHECK(restore(folder, stream, 1 + data[1] % 32) == whole);
    return 0;
}
