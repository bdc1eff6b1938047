// Fibers belong to a Group, which joins them. The first error stops the others and is what wait()
// returns.
#include <atomic>
#include <cstdio>

#include "rt/runtime.h"
#include "sync/event.h"
#include "sync/group.h"

using namespace sluice;

namespace {

void add_up() {
    std::atomic<int> sum = 0;
    sync::Group group(nullptr);
    for (int i = 1; i <= 1'000; ++i) group.spawn([&sum, i] { sum += i; });
    if (group.wait()) std::printf("1,000 fibers made %d\n", sum.load());
}

void fail_together() {
    sync::Group group(nullptr);
    group.spawn([&group]() -> Status {
        sync::Event more;                   // nobody sets it
        return more.wait(group.context());  // until the group is told to stop
    });
    group.spawn([]() -> Status { return fail(Code::kNotFound, "no such part"); });
    const Status status = group.wait();
    if (!status) std::printf("the group failed: %s\n", status.error().message().c_str());
}

}  // namespace

int main() {
    rt::Runtime runtime({.workers = 2});
    runtime.run([] {
        add_up();
        fail_together();
    });
}
