#include "io/posix_file_system.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/limits.h"
#include "base/temporary_dir_testing.h"

namespace sluice::io {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

class PosixFileSystemTest : public testing::Test {
  protected:
    std::string path(std::string_view name) const { return dir_.path(std::string(name)); }

    std::string read_all(File& file) {
        std::string text(file.size().value(), '?');
        auto into = std::as_writable_bytes(std::span(text.data(), text.size()));
        EXPECT_EQ(file.pread(into, 0).value(), text.size());
        return text;
    }

    std::unique_ptr<FileSystem> fs_ = make_posix_file_system();
    TemporaryDir dir_;
};

TEST_F(PosixFileSystemTest, WritesAndReadsBack) {
    auto file = fs_->open(path("a"), OpenMode::kCreateNew).value();
    ASSERT_TRUE(file->pwrite(bytes_of("hello world"), 0).has_value());
    ASSERT_TRUE(file->pwrite(bytes_of("W"), 6).has_value());
    ASSERT_TRUE(file->fdatasync().has_value());
    EXPECT_EQ(read_all(*file), "hello World");

    std::array<std::byte, 32> big{};
    EXPECT_EQ(file->pread(big, 6).value(), 5u);
    EXPECT_EQ(file->pread(big, 100).value(), 0u);
    ASSERT_TRUE(file->truncate(5).has_value());
    EXPECT_EQ(read_all(*file), "hello");
}

TEST_F(PosixFileSystemTest, DirectFilesTakeWholeBlocks) {
    alignas(4096) std::array<std::byte, 8192> out{};
    out[5000] = std::byte{7};
    (void)fs_->open(path("a"), OpenMode::kCreateNew).value();
    auto file = fs_->open(path("a"), OpenMode::kReadWriteDirect).value();
    ASSERT_TRUE(file->pwrite(out, 4096).has_value());
    ASSERT_TRUE(file->fdatasync().has_value());
    alignas(4096) std::array<std::byte, 8192> in{};
    EXPECT_EQ(file->pread(in, 4096).value(), in.size());
    EXPECT_EQ(in[5000], std::byte{7});
}

TEST_F(PosixFileSystemTest, OpenModes) {
    EXPECT_EQ(fs_->open(path("a"), OpenMode::kRead).error().code(), Code::kNotFound);
    EXPECT_EQ(fs_->open(path("a"), OpenMode::kReadWrite).error().code(), Code::kNotFound);
    EXPECT_TRUE(fs_->open(path("a"), OpenMode::kCreate).has_value());
    EXPECT_TRUE(fs_->open(path("a"), OpenMode::kCreate).has_value());
    const auto taken = fs_->open(path("a"), OpenMode::kCreateNew);
    EXPECT_EQ(taken.error().code(), Code::kAlreadyExists);
    EXPECT_NE(taken.error().message().find(path("a")), std::string::npos);
    auto reader = fs_->open(path("a"), OpenMode::kRead).value();
    EXPECT_FALSE(reader->pwrite(bytes_of("x"), 0).has_value());
}

TEST_F(PosixFileSystemTest, FallocateGrowsWithZeros) {
    auto file = fs_->open(path("a"), OpenMode::kCreateNew).value();
    ASSERT_TRUE(file->pwrite(bytes_of("abc"), 0).has_value());
    ASSERT_TRUE(file->fallocate(0, 8).has_value());
    EXPECT_EQ(read_all(*file), std::string("abc\0\0\0\0\0", 8));
    ASSERT_TRUE(file->fallocate(0, 4).has_value());
    EXPECT_EQ(file->size().value(), 8u);
}

TEST_F(PosixFileSystemTest, NamesInDirectories) {
    ASSERT_TRUE(fs_->create_dir(path("d")).has_value());
    EXPECT_EQ(fs_->create_dir(path("d")).error().code(), Code::kAlreadyExists);
    ASSERT_TRUE(fs_->open(path("d/b"), OpenMode::kCreate).has_value());
    ASSERT_TRUE(fs_->open(path("d/a"), OpenMode::kCreate).has_value());
    EXPECT_EQ(fs_->list(path("d")).value(), (std::vector<std::string>{"a", "b"}));

    ASSERT_TRUE(fs_->rename(path("d/b"), path("d/a")).has_value());
    ASSERT_TRUE(fs_->sync_dir(path("d")).has_value());
    EXPECT_EQ(fs_->list(path("d")).value(), (std::vector<std::string>{"a"}));
    EXPECT_TRUE(fs_->exists(path("d/a")).value());
    EXPECT_FALSE(fs_->exists(path("d/b")).value());

    ASSERT_TRUE(fs_->remove(path("d/a")).has_value());
    EXPECT_EQ(fs_->remove(path("d/a")).error().code(), Code::kNotFound);
    EXPECT_EQ(fs_->list(path("d")).value(), std::vector<std::string>{});
    EXPECT_EQ(fs_->list(path("e")).error().code(), Code::kNotFound);
}

TEST_F(PosixFileSystemTest, LockHasOneHolder) {
    auto held = fs_->lock(path("LOCK"));
    ASSERT_TRUE(held.has_value());
    EXPECT_EQ(fs_->lock(path("LOCK")).error().code(), Code::kFailedPrecondition);
    held->reset();
    EXPECT_TRUE(fs_->lock(path("LOCK")).has_value());
}

}  // namespace
}  // namespace sluice::io
