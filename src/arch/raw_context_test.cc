#include "arch/raw_context.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace sluice::arch {
namespace {

struct Own {
    static RawContext make(void* upper, ContextEntry entry) {
        return own::make_context(upper, entry);
    }
    static void* to(RawContext* from, RawContext next, void* argument) {
        return own::switch_context(from, next, argument);
    }
};
#ifdef SLUICE_HAVE_FCONTEXT
struct Boost {
    static RawContext make(void* upper, ContextEntry entry) {
        return fcontext::make_context(upper, entry);
    }
    static void* to(RawContext* from, RawContext next, void* argument) {
        return fcontext::switch_context(from, next, argument);
    }
};
using Implementations = ::testing::Types<Own, Boost>;
#else
using Implementations = ::testing::Types<Own>;
#endif

constexpr std::size_t kStackBytes = 64 * 1024;

struct Stack {
    std::unique_ptr<std::byte[]> bytes{new std::byte[kStackBytes + 16]};
    void* upper() const {
        const auto end = reinterpret_cast<std::uintptr_t>(bytes.get()) + kStackBytes;
        return reinterpret_cast<void*>(end & ~std::uintptr_t{15});
    }
};

// Two contexts that hand a number to and fro; each adds its own mark to it.
template <class S>
struct PingPong {
    RawContext main = nullptr;
    RawContext fiber = nullptr;
    bool aligned = false;
    double kept_double = 0;

    static void entry(void* argument) {
        auto* self = static_cast<PingPong*>(argument);
        alignas(16) volatile char local[16] = {};
        self->aligned = reinterpret_cast<std::uintptr_t>(&local[0]) % 16 == 0;
        double across = 1.5;  // must survive the switches
        std::uintptr_t number = 0;
        for (;;) {
            auto* answer = reinterpret_cast<void*>(number + 1);
            number = reinterpret_cast<std::uintptr_t>(S::to(&self->fiber, self->main, answer));
            across += 1;
            self->kept_double = across;
        }
    }
};

template <class S>
class RawContextTest : public ::testing::Test {};
TYPED_TEST_SUITE(RawContextTest, Implementations);

TYPED_TEST(RawContextTest, PassesArgumentsBothWays) {
    Stack stack;
    PingPong<TypeParam> pair;
    pair.fiber = TypeParam::make(stack.upper(), &PingPong<TypeParam>::entry);
    void* answer = TypeParam::to(&pair.main, pair.fiber, &pair);
    EXPECT_TRUE(pair.aligned);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(answer), 1U);
    for (std::uintptr_t i = 10; i < 1010; ++i) {
        answer = TypeParam::to(&pair.main, pair.fiber, reinterpret_cast<void*>(i));
        ASSERT_EQ(reinterpret_cast<std::uintptr_t>(answer), i + 1);
    }
    EXPECT_EQ(pair.kept_double, 1001.5);
}

// A chain main -> 0 -> 1 -> ... -> n-1 -> main, twice round: handles are good again after each
// switch.
template <class S>
struct Ring {
    static constexpr int kCount = 8;
    RawContext contexts[kCount + 1] = {};  // the last is main's
    std::string order;
    int next = 0;

    static void entry(void* argument) {
        auto* ring = static_cast<Ring*>(argument);
        const int me = ring->next++;
        for (;;) {
            ring->order += static_cast<char>('a' + me);
            S::to(&ring->contexts[me], ring->contexts[me + 1], ring);
        }
    }
};

TYPED_TEST(RawContextTest, RunsARing) {
    using TheRing = Ring<TypeParam>;
    std::vector<Stack> stacks(TheRing::kCount);
    TheRing ring;
    for (int i = 0; i < TheRing::kCount; ++i) {
        ring.contexts[i] = TypeParam::make(stacks[i].upper(), &TheRing::entry);
    }
    TypeParam::to(&ring.contexts[TheRing::kCount], ring.contexts[0], &ring);
    TypeParam::to(&ring.contexts[TheRing::kCount], ring.contexts[0], &ring);
    EXPECT_EQ(ring.order, "abcdefghabcdefgh");
}

// All callee-saved integer registers hold values across a switch when the other side clobbers them.
template <class S>
struct Clobber {
    RawContext main = nullptr;
    RawContext fiber = nullptr;
    static void entry(void* argument) {
        auto* self = static_cast<Clobber*>(argument);
        for (;;) {
#if defined(__x86_64__)
            asm volatile(
                "xorq %%rbx, %%rbx; xorq %%r12, %%r12; xorq %%r13, %%r13; xorq %%r14, %%r14;"
                "xorq %%r15, %%r15" ::
                    : "rbx", "r12", "r13", "r14", "r15");
#elif defined(__aarch64__)
            asm volatile("mov x19, #0; mov x20, #0; mov x21, #0; mov x28, #0; fmov d8, xzr" ::
                             : "x19", "x20", "x21", "x28", "d8");
#endif
            S::to(&self->fiber, self->main, nullptr);
        }
    }
};

TYPED_TEST(RawContextTest, KeepsCalleeSavedRegisters) {
    Stack stack;
    Clobber<TypeParam> pair;
    pair.fiber = TypeParam::make(stack.upper(), &Clobber<TypeParam>::entry);
    // Seven live values across the call force the compiler to use every callee-saved register.
    volatile std::uint64_t seed = 41;
    const std::uint64_t a = seed + 1, b = seed * 3, c = seed ^ 99, d = seed << 7, e = seed + 17,
                        f = seed * 11;
    for (int i = 0; i < 3; ++i) TypeParam::to(&pair.main, pair.fiber, &pair);
    EXPECT_EQ(a, 42U);
    EXPECT_EQ(b, 123U);
    EXPECT_EQ(c, 41U ^ 99U);
    EXPECT_EQ(d, 41U << 7);
    EXPECT_EQ(e, 58U);
    EXPECT_EQ(f, 451U);
}

}  // namespace
}  // namespace sluice::arch
