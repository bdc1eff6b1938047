#include "observe/lock_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

namespace sluice::observe {
namespace {

using testing::HasSubstr;
using testing::Not;

// The caller's frame is what is looked for: a tail call would leave none.
[[gnu::noinline, clang::not_tail_called]] rt::LockParty party(const char* name,
                                                              std::uint64_t fiber) {
    rt::LockParty made{.fiber = fiber};
    std::strncpy(made.name.data(), name, made.name.size() - 1);
    made.frames[0] = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
    return made;
}
[[gnu::noinline]] rt::LockParty from_the_reader() {
    return party("reader", 17);
}

TEST(LockText, SaysWhoWaitedForWhomAndHowLong) {
    const int lock = 0;
    rt::LockReport report;
    report.totals = {.waits = 14, .long_waits = 3, .total_ns = 4'200'000};
    report.dropped_waits = 2;
    report.dropped_ns = 100'000;
    report.rows.push_back({.lock = &lock,
                           .waiter = from_the_reader(),
                           .holder = {},
                           .waits = 12,
                           .long_waits = 3,
                           .given_up = 1,
                           .total_ns = 4'100'000,
                           .longest_ns = 1'950'000});
    const std::string text = lock_text(report);
    EXPECT_THAT(text, HasSubstr("14 waits for locks, 3 of 200 us and more; 4.200 ms in all\n"
                                "below: each of 20 us and more, and one in 16 of the shorter "
                                "ones, which counts as many; 2, of 0.100 ms, found no room\n"));
    EXPECT_THAT(text, HasSubstr(": 12 waits, 3 of 200 us and more, 1 given up; 4.100 ms in all, "
                                "1.950 ms the longest\n  waiter: fiber 17 \"reader\"\n"));
    EXPECT_THAT(text, HasSubstr("from_the_reader("));
    EXPECT_THAT(text, HasSubstr("  holder: not known\n"));
}

TEST(LockText, OfNothingIsTwoLines) {
    const std::string text = lock_text({});
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
    EXPECT_THAT(text, Not(HasSubstr("waiter")));
}

}  // namespace
}  // namespace sluice::observe
