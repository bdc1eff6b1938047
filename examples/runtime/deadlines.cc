// A context says until when, and whether still, something is wanted. Every wait takes one.
#include <cstdio>

#include "rt/runtime.h"
#include "rt/timer.h"
#include "sync/channel.h"
#include "sync/group.h"

using namespace sluice;

int main() {
    rt::Runtime runtime({.workers = 2});
    runtime.run([] {
        sync::Channel<int> answers;  // nobody sends
        sync::Context request(nullptr, sync::deadline_after(5 * kMillisecond));
        const Result<int> late = answers.receive(request);
        std::printf("receive: %s\n", late.error().message().c_str());

        sync::Group group(nullptr);
        group.spawn([&] {
            sync::Context part(&group.context(), sync::deadline_after(60 * kSecond));
            const Result<int> none = answers.receive(part);  // ends with its parent
            std::printf("in the group: %s\n", none.error().message().c_str());
        });
        rt::sleep_for(kMillisecond);
        group.cancel("the client has gone");
        (void)group.wait();
    });
}
