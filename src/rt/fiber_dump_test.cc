// Runtime::dump(): states, what is waited for, and stacks, of fibers that stand still and of those
// that run meanwhile.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <link.h>

#include <thread>

#include "rt/baton_testing.h"
#include "rt/outside_record.h"
#include "rt/runtime.h"
#include "rt/symbol_table.h"

namespace sluice::rt {
namespace {

using testing::HasSubstr;
using testing::Not;

// Frames with names of their own; the empty asm keeps calls from becoming jumps.
[[gnu::noinline]] void wait_as_told(Fiber*& parked, const int& thing) {
    park(
        WaitReason::kChannel,
        [&parked](Fiber* fiber) {
            parked = fiber;
            return true;
        },
        &thing);
    asm volatile("");
}
[[gnu::noinline]] void caller_of_the_wait(Fiber*& parked, const int& thing) {
    wait_as_told(parked, thing);
    asm volatile("");
}
[[gnu::noinline]] void compute_until(const std::atomic<bool>& stop, std::atomic<bool>& started) {
    started = true;
    while (!stop) {
        for (int i = 0; i < 10'000; ++i) asm volatile("");
    }
}

// What the dump says about the fiber of that name.
std::string part_of(const std::string& dump, const std::string& name) {
    const std::size_t at = dump.find("\"" + name + "\"");
    if (at == std::string::npos) return "";
    return dump.substr(at, dump.find("\nfiber ", at) - at);
}

TEST(FiberDump, NamesEveryFiberItsWaitAndItsStack) {
    Runtime runtime({.workers = 1});
    std::string dump;
    const int thing = 0;
    runtime.run([&] {
        Fiber* parked = nullptr;
        spawn([&] { caller_of_the_wait(parked, thing); }, "reader");
        yield();
        spawn([] {}, "late");
        dump = runtime.dump();
        ready(parked);
    });
    EXPECT_THAT(part_of(dump, "main"), HasSubstr("running"));
    EXPECT_THAT(part_of(dump, "late"), HasSubstr("runnable"));
    const std::string reader = part_of(dump, "reader");
    std::ostringstream wait;
    wait << "waiting: channel " << &thing << " for ";
    EXPECT_THAT(reader, HasSubstr(wait.str()));
    if (SymbolTable::of_this_program().empty()) return;  // stripped
    const std::size_t callee = reader.find("wait_as_told(");
    const std::size_t caller = reader.find("caller_of_the_wait(");
    ASSERT_NE(callee, std::string::npos) << reader;
    ASSERT_NE(caller, std::string::npos) << reader;
    EXPECT_LT(callee, caller) << reader;
    EXPECT_THAT(part_of(dump, "main"), Not(HasSubstr("wait_as_told")));
}

TEST(FiberDump, ShowsTheStackOfARunningFiber) {
    Runtime runtime({.workers = 2});
    std::atomic<bool> started = false;
    std::atomic<bool> stop = false;
    std::string dump;
    std::thread watcher([&] {
        while (!started) std::this_thread::yield();
        // A sanitizer's function, which keeps no frame pointer, may be what is interrupted.
        for (int i = 0; i < 100 && dump.find("compute_until(") == dump.npos; ++i) {
            dump = runtime.dump();
        }
        stop = true;
    });
    runtime.run([&] { compute_until(stop, started); });
    watcher.join();
    EXPECT_THAT(part_of(dump, "main"), HasSubstr("running"));
    EXPECT_THAT(part_of(dump, "main"), HasSubstr("compute_until("));
}

// Everything moves while dumps are made: each shows every fiber that lives throughout.
TEST(FiberDump, MayBeTakenAtAnyMoment) {
    Runtime runtime({.workers = 2});
    std::atomic<bool> stop = false;
    std::atomic<int> rounds = 0;
    constexpr int kPairs = 20;
    std::atomic<int> alive = 0;
    std::thread watcher([&] {
        while (alive < 2 * kPairs) std::this_thread::yield();
        for (int n = 0; n < 50; ++n) {
            const std::string dump = runtime.dump();
            std::size_t count = 0;
            for (std::size_t at = 0; (at = dump.find("\"pair\"", at)) != std::string::npos; ++at) {
                ++count;
            }
            EXPECT_EQ(count, 2u * kPairs);
        }
        stop = true;
    });
    runtime.run([&] {
        struct Pair {
            Baton ping, pong;
            bool last = false;  // written before a ping
        };
        std::vector<Pair> pairs(kPairs);
        std::atomic<int> ended = 0;
        Baton all_ended;
        for (Pair& pair : pairs) {
            spawn(
                [&] {
                    ++alive;
                    while (!pair.last) {
                        pair.last = stop;
                        pair.ping.post();
                        pair.pong.wait();
                        ++rounds;
                    }
                    if (++ended == 2 * kPairs) all_ended.post();
                },
                "pair");
            spawn(
                [&] {
                    ++alive;
                    for (bool last = false; !last;) {
                        pair.ping.wait();
                        last = pair.last;
                        pair.pong.post();
                    }
                    if (++ended == 2 * kPairs) all_ended.post();
                },
                "pair");
        }
        all_ended.wait();
    });
    watcher.join();
    EXPECT_GT(rounds, kPairs);
}

// As a program outside does it: by the symbol and the thread pointer alone.
TEST(OutsideRecord, IsFoundFromTheSymbolTable) {
    std::uintptr_t offset = 0;
    ASSERT_TRUE(SymbolTable::of_this_program().value_of("sluice_outside_record", offset));
    ElfW(Phdr) tls{};
    dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* out) {
            for (int i = 0; i < info->dlpi_phnum; ++i) {
                if (info->dlpi_phdr[i].p_type == PT_TLS) {
                    *static_cast<ElfW(Phdr)*>(out) = info->dlpi_phdr[i];
                }
            }
            return 1;  // the first object is the program
        },
        &tls);
    const auto thread = reinterpret_cast<std::uintptr_t>(__builtin_thread_pointer());
#if defined(__x86_64__)
    const std::uintptr_t bytes = (tls.p_memsz + tls.p_align - 1) / tls.p_align * tls.p_align;
    const std::uintptr_t found = thread + offset - bytes;
#else
    constexpr std::uintptr_t kHead = 16;
    const std::uintptr_t found =
        thread + (kHead + tls.p_align - 1) / tls.p_align * tls.p_align + offset;
#endif
    EXPECT_EQ(found, reinterpret_cast<std::uintptr_t>(&outside_record()));
}

}  // namespace
}  // namespace sluice::rt
