// Operations that the kernel completes, above all those that are called off: it must not touch
// their memory afterwards. Pipes stand for devices that never answer.
#include "io/operation.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <thread>

#include "base/limits.h"
#include "base/temporary_dir_testing.h"
#include "io/async_file.h"
#include "io/posix_file_system.h"
#include "io/run_testing.h"
#include "io/uring_poller.h"
#include "rt/blocking.h"
#include "rt/runtime.h"
#include "sync/event.h"
#include "sync/group.h"

namespace sluice::io {
namespace {

constexpr std::byte kPoison{0xA5};
constexpr std::string_view kText = "written by somebody";

struct Pipe {
    Pipe() {
        int fds[2];
        SLUICE_CHECK(::pipe2(fds, O_CLOEXEC) == 0);
        reader.reset(fds[0]);
        writer.reset(fds[1]);
    }
    void feed() const {
        EXPECT_EQ(sys::write(writer.get(), kText.data(), kText.size()),
                  static_cast<ssize_t>(kText.size()));
    }
    // What lies in the pipe now; the writer must have been closed.
    std::size_t drain() const {
        char buffer[256];
        std::size_t total = 0;
        for (ssize_t n; (n = sys::read(reader.get(), buffer, sizeof buffer)) > 0;) {
            total += static_cast<std::size_t>(n);
        }
        return total;
    }
    Descriptor reader;
    Descriptor writer;
};

// Pages of their own, so that they can be taken back as a whole.
struct Pages {
    Pages()
        : at(static_cast<std::byte*>(::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
        SLUICE_CHECK(at != MAP_FAILED);
        poison();
    }
    ~Pages() { ::munmap(at, kBytes); }
    Pages(const Pages&) = delete;
    Pages& operator=(const Pages&) = delete;
    void poison() const { std::memset(at, static_cast<int>(kPoison), kBytes); }
    bool untouched() const {
        return std::all_of(at, at + kBytes, [](std::byte b) { return b == kPoison; });
    }
    std::span<std::byte> span() const { return {at, kBytes}; }

    static constexpr std::size_t kBytes = 4096;
    std::byte* const at;
};

void turns_of_the_poller() {
    for (int i = 0; i < 3; ++i) rt::sleep_for(20'000);
}

// Completion is io_uring's; the pool's calls own a thread until they return.
class OperationTest : public testing::Test {
  protected:
    void run(unsigned workers, std::function<void()> body) {
        if (run_on("io_uring", workers, std::move(body))) return;
        ASSERT_TRUE(may_lack_io_uring()) << "no io_uring here";
        GTEST_SKIP() << "no io_uring here";
    }
};

TEST_F(OperationTest, MovesBytesThroughAPipe) {
    run(1, [] {
        Pipe pipe;
        pipe.feed();
        const Pages pages;
        Operation read = Operation::read(pipe.reader.get(), pages.span(), Operation::kNoOffset);
        EXPECT_EQ(read.run(sync::Context::background()), static_cast<std::int64_t>(kText.size()));
        EXPECT_EQ(std::memcmp(pages.at, kText.data(), kText.size()), 0);
        EXPECT_TRUE(current_poller().idle());
    });
}

TEST_F(OperationTest, NothingIsWrittenAfterACancel) {
    run(1, [] {
        for (int round = 0; round < 300; ++round) {
            Pipe pipe;
            const Pages pages;
            sync::Context context(nullptr);
            sync::Group group(nullptr);
            group.spawn([&] {
                // In every third round the operation has not even been handed over.
                if (round % 3 != 0) rt::sleep_for(20'000);
                context.cancel();
            });
            {
                iovec parts[2] = {{.iov_base = pages.at, .iov_len = 5},
                                  {.iov_base = pages.at + 5, .iov_len = 1000}};
                Operation read =
                    round % 2 == 0
                        ? Operation::read(pipe.reader.get(), pages.span(), Operation::kNoOffset)
                        : Operation::readv(pipe.reader.get(), parts, Operation::kNoOffset);
                EXPECT_FALSE(context.ended());
                ASSERT_EQ(read.run(context), -ECANCELED);
            }
            EXPECT_TRUE(current_poller().idle());
            // The memory is somebody else's now; in some rounds it is not even there.
            const bool taken_away = round % 4 == 0;
            if (taken_away) ASSERT_EQ(::mprotect(pages.at, Pages::kBytes, PROT_NONE), 0);
            pipe.feed();
            turns_of_the_poller();
            if (taken_away) ASSERT_EQ(::mprotect(pages.at, Pages::kBytes, PROT_READ), 0);
            ASSERT_TRUE(pages.untouched()) << "round " << round;
            pipe.writer.reset();
            ASSERT_EQ(pipe.drain(), kText.size()) << "round " << round;
            ASSERT_TRUE(group.wait().has_value());
        }
    });
}

// A thread writes while another one cancels. Either the read has the bytes and the pipe has none,
// or the other way round; and afterwards the memory is ours. In some rounds one of the two waits
// until the read is over, so that both endings occur however the threads are scheduled.
TEST_F(OperationTest, CompletionAndCancelRace) {
    run(2, [] {
        int completed = 0;
        int cancelled = 0;
        for (int round = 0; round < 2000; ++round) {
            const bool only_feeds = round % 20 == 0;
            const bool only_cancels = round % 20 == 10;
            Pipe pipe;
            const Pages pages;
            sync::Context context(nullptr);
            std::atomic<bool> over{false};
            std::atomic<int> started{0};
            const auto meet = [&](int then_yield, bool is_late) {
                started.fetch_add(1);
                while (started.load() < 2) std::this_thread::yield();
                for (int i = 0; i < then_yield; ++i) std::this_thread::yield();
                if (is_late) over.wait(false);
            };
            sync::Group group(nullptr);
            group.spawn([&] {
                rt::blocking([&] {
                    meet(round % 50, only_cancels);
                    pipe.feed();
                });
            });
            group.spawn([&] {
                rt::blocking([&] {
                    meet(round / 50, only_feeds);
                    context.cancel();
                });
            });
            Operation read = Operation::read(pipe.reader.get(), pages.span(), Operation::kNoOffset);
            const std::int64_t n = read.run(context);
            over = true;
            over.notify_all();
            const bool has_text = std::memcmp(pages.at, kText.data(), kText.size()) == 0;
            if (n >= 0) {
                ++completed;
                ASSERT_FALSE(only_cancels);
                ASSERT_EQ(n, static_cast<std::int64_t>(kText.size()));
                ASSERT_TRUE(has_text);
            } else {
                ++cancelled;
                ASSERT_FALSE(only_feeds);
                ASSERT_EQ(n, -ECANCELED);
                ASSERT_TRUE(pages.untouched());
            }
            pages.poison();
            ASSERT_TRUE(group.wait().has_value());
            pipe.feed();
            turns_of_the_poller();
            ASSERT_TRUE(pages.untouched()) << "round " << round;
            pipe.writer.reset();
            ASSERT_EQ(pipe.drain(), (n >= 0 ? 1 : 2) * kText.size()) << "round " << round;
        }
        EXPECT_EQ(completed + cancelled, 2000);
        EXPECT_GE(completed, 100);
        EXPECT_GE(cancelled, 100);
    });
}

// A call that a thread of the kernel sleeps in: it is interrupted, not abandoned.
TEST_F(OperationTest, CancelReachesAThreadOfTheKernel) {
    run(1, [] {
        for (int round = 0; round < 50; ++round) {
            Pipe from;
            Pipe to;
            sync::Context deadline(nullptr, sync::deadline_after(kMillisecond));
            Operation splice = Operation::splice(from.reader.get(), Operation::kNoOffset,
                                                 to.writer.get(), Operation::kNoOffset, 4096);
            const std::int64_t result = splice.run(deadline);
            ASSERT_TRUE(result == -ECANCELED || result == -EINTR) << result;
            EXPECT_EQ(deadline.status().error().code(), Code::kDeadlineExceeded);
            from.feed();
            turns_of_the_poller();
            from.writer.reset();
            to.writer.reset();
            ASSERT_EQ(from.drain(), kText.size());
            ASSERT_EQ(to.drain(), 0u);
        }
    });
}

TEST_F(OperationTest, DeadlineEndsAFileThatNeverAnswers) {
    run(1, [] {
        Pipe pipe;
        AsyncFile file(std::move(pipe.reader), "a pipe");
        sync::Context deadline(nullptr, sync::deadline_after(kMillisecond));
        std::array<std::byte, 16> buffer{};
        EXPECT_EQ(file.pread(buffer, 0, deadline).error().code(), Code::kDeadlineExceeded);
    });
}

// The cancellation of one operation must not hit the next one, whose record lies at the same place.
TEST_F(OperationTest, ALateCancelHitsNobodyElse) {
    run(1, [] {
        Pipe pipe;
        for (int round = 0; round < 500; ++round) {
            std::array<std::byte, 64> buffer{};
            const auto read_with = [&](const sync::Context& context) {
                Operation read = Operation::read(pipe.reader.get(), buffer, Operation::kNoOffset);
                return read.run(context);
            };
            sync::Context first(nullptr);
            pipe.feed();  // both are pushed in one turn: the read completes, the cancel is late
            sync::Group group(nullptr);
            group.spawn([&] { first.cancel(); });
            const std::int64_t n = read_with(first);
            sync::Context second(nullptr);
            group.spawn([&] { pipe.feed(); });
            const std::int64_t m = read_with(second);
            ASSERT_EQ(m, static_cast<std::int64_t>(kText.size())) << "after " << n;
            ASSERT_TRUE(group.wait().has_value());
            if (n < 0) {
                ASSERT_EQ(read_with(second), static_cast<std::int64_t>(kText.size()));
            }
        }
    });
}

// What many fibers start in one turn goes to the kernel with one call.
TEST_F(OperationTest, AreSubmittedTogether) {
    run(1, [] {
        const TemporaryDir dir;
        const Descriptor file = *open_descriptor(dir.path("a"), OpenMode::kCreateNew);
        const std::array<std::byte, 4096> block{};
        ASSERT_EQ(sys::pwrite(file.get(), block.data(), block.size(), 0), 4096);
        rt::yield();
        auto& poller = static_cast<UringPoller&>(current_poller());
        const std::uint64_t before = poller.system_calls();
        constexpr int kFibers = 200;
        static_assert(kFibers < limits::kUringSubmissions);
        sync::Group group(nullptr);
        std::array<std::array<std::byte, 512>, kFibers> buffers;
        int completed = 0;
        for (auto& buffer : buffers) {
            group.spawn([&] {
                Operation read = Operation::read(file.get(), buffer, 0);
                EXPECT_EQ(read.run(sync::Context::background()), 512);
                ++completed;
            });
        }
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_EQ(completed, kFibers);
        // One call for all of them, and one for each look in between: a busy worker looks after
        // every limits::kPollIntervalNs, of which a slow build needs many.
        EXPECT_LT(poller.system_calls() - before, kFibers);
    });
}

}  // namespace
}  // namespace sluice::io
