#include "base/time_slice.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/utsname.h>

#include <cstdio>
#include <thread>

#include "base/limits.h"
#include "base/syscall.h"

namespace sluice {
namespace {

bool kernel_has_slices() {
    utsname names{};
    int major = 0;
    int minor = 0;
    if (uname(&names) != 0 || std::sscanf(names.release, "%d.%d", &major, &minor) != 2)
        return false;
    return major > 6 || (major == 6 && minor >= 12);
}

TEST(TimeSlice, ChangesTheSliceAndNothingElse) {
    std::thread([] {
        sys::SchedAttributes before;
        sys::SchedAttributes after;
        ASSERT_EQ(sys::sched_getattr(before), 0);
        wish_short_slices();
        ASSERT_EQ(sys::sched_getattr(after), 0);
        EXPECT_EQ(after.policy, before.policy);
        EXPECT_EQ(after.nice, before.nice);
        if (kernel_has_slices() && before.policy == SCHED_OTHER)
            EXPECT_EQ(after.runtime_ns, limits::kWakeUpSliceNs);
    }).join();
}

TEST(TimeSlice, ThreadsStartedBySuchAThreadHaveTheDefault) {
    sys::SchedAttributes usual;
    ASSERT_EQ(sys::sched_getattr(usual), 0);
    std::thread([&] {
        wish_short_slices();
        std::thread([&] {
            sys::SchedAttributes child;
            ASSERT_EQ(sys::sched_getattr(child), 0);
            EXPECT_EQ(child.runtime_ns, usual.runtime_ns);
        }).join();
    }).join();
}

}  // namespace
}  // namespace sluice
