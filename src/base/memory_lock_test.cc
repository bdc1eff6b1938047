// Locking memory, in child processes: it cannot be taken back. Where nobody may lock it
// (RLIMIT_MEMLOCK, no CAP_IPC_LOCK) the second test fails, unless SLUICE_ALLOW_NO_MEMORY_LOCK=1
// says that this is known.
#include "base/memory_lock.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>

namespace sluice {
namespace {

// These sanitizers make the call do nothing, and reserve terabytes.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLUICE_CANNOT_LOCK 1
#endif
#endif

bool may_lack_memory_lock() {
    const char* const allowed = std::getenv("SLUICE_ALLOW_NO_MEMORY_LOCK");
    return allowed != nullptr && std::string_view(allowed) == "1";
}

// What `body` says, in a child process.
std::string in_child(const std::function<std::string()>& body) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        const std::string text = body();
        (void)!write(ends[1], text.data(), text.size());
        _exit(0);
    }
    close(ends[1]);
    std::string text(1'000, '\0');
    const ssize_t bytes = read(ends[0], text.data(), text.size());
    text.resize(bytes > 0 ? static_cast<std::size_t>(bytes) : 0);
    close(ends[0]);
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    return text;
}

// Without privilege, and with a limit of `bytes`, or of less where that is all it may have.
[[maybe_unused]] std::string lock_with_limit(rlim_t bytes) {
    rlimit limit{};
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return "no limit could be read";
    bytes = std::min(bytes, limit.rlim_max);
    limit = {.rlim_cur = bytes, .rlim_max = bytes};
    constexpr uid_t kNobody = 65'534;
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0) return "no limit could be set";
    if (getuid() == 0 && setresuid(kNobody, kNobody, kNobody) != 0) return "still root";
    const Status locked = lock_memory();
    if (locked) return "locked";
    return (locked.error().code() == Code::kFailedPrecondition ? "refused: " : "other: ") +
           std::string(locked.error().message());
}

TEST(MemoryLock, LimitIsNamedWhenItForbids) {
#ifdef SLUICE_CANNOT_LOCK
    GTEST_SKIP() << "a sanitizer makes mlockall() do nothing";
#endif
    const std::string said = in_child([] { return lock_with_limit(65'536); });
    EXPECT_TRUE(said.starts_with("refused: memory cannot be locked: RLIMIT_MEMLOCK is 65536 bytes"))
        << said;
}

// The kernel would lock what there is, and then refuse to map more.
TEST(MemoryLock, LimitThatIsEnoughOnlyForNowForbidsToo) {
#ifdef SLUICE_CANNOT_LOCK
    GTEST_SKIP() << "a sanitizer makes mlockall() do nothing";
#endif
    const std::string said = in_child([] { return lock_with_limit(1 << 30); });
    EXPECT_TRUE(said.starts_with("refused: memory cannot be locked: RLIMIT_MEMLOCK is ")) << said;
}

// Locked pages are those that were touched, no more.
TEST(MemoryLock, PagesAreLockedAsTheyAreTouched) {
#ifdef SLUICE_CANNOT_LOCK
    GTEST_SKIP() << "a sanitizer makes mlockall() do nothing";
#endif
    const std::string said = in_child([]() -> std::string {
        const Status locked = lock_memory();
        if (!locked) return "refused: " + locked.error().message();
        constexpr std::size_t kBytes = 64 << 20;
        void* const memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) return "nothing can be mapped";
        // A huge page would hold both.
        madvise(memory, kBytes, MADV_NOHUGEPAGE);
        static_cast<char*>(memory)[0] = 1;
        unsigned char first = 0;
        unsigned char second = 0;
        const auto next_page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
        if (mincore(memory, 1, &first) != 0) return "mincore failed";
        if (mincore(static_cast<char*>(memory) + next_page, 1, &second) != 0) return "no next page";
        return std::string("locked, ") + (first & 1 ? "in" : "out") + (second & 1 ? " in" : " out");
    });
    if (said.starts_with("refused") && may_lack_memory_lock()) GTEST_SKIP() << said;
    EXPECT_EQ(said, "locked, in out");
}

}  // namespace
}  // namespace sluice
