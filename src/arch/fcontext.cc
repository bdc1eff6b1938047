// The same contract on Boost.Context's assembler (<boost/context/detail/fcontext.hpp>).
#include "arch/raw_context.h"

#ifdef SLUICE_HAVE_FCONTEXT

#include <boost/context/detail/fcontext.hpp>
#include <cstdint>

namespace sluice::arch::fcontext {
namespace {

namespace boost_context = boost::context::detail;

// Boost hands the context that was left to the one that is entered, while ours is saved for the one
// that leaves. So each jump carries where its origin wants to be saved.
struct Jump {
    RawContext* save_origin;
    void* argument;
    ContextEntry entry;  // for the first jump into a context
};

void* arrive(boost_context::transfer_t transfer) {
    const Jump jump = *static_cast<Jump*>(transfer.data);  // lies on the stack that was left
    *jump.save_origin = transfer.fctx;
    return jump.argument;
}

void first_entry(boost_context::transfer_t transfer) {
    const ContextEntry entry = static_cast<Jump*>(transfer.data)->entry;
    entry(arrive(transfer));
    __builtin_trap();
}

// A new context is a pointer to this, at the stack's upper end, with the lowest bit set: Boost's
// handle alone does not hold the entry function.
struct NewContext {
    boost_context::fcontext_t handle;
    ContextEntry entry;
};
static_assert(sizeof(NewContext) == 16, "the stack below stays aligned");
constexpr std::uintptr_t kNewBit = 1;

}  // namespace

RawContext make_context(void* stack_upper_end, ContextEntry entry) noexcept {
    auto* made = static_cast<NewContext*>(stack_upper_end) - 1;
    constexpr std::size_t kUnusedSize = 4096;  // only used on systems that check stack bounds
    made->handle = boost_context::make_fcontext(made, kUnusedSize, first_entry);
    made->entry = entry;
    return reinterpret_cast<char*>(made) + kNewBit;
}

void* switch_context(RawContext* from, RawContext to, void* argument) noexcept {
    const auto bits = reinterpret_cast<std::uintptr_t>(to);
    if ((bits & kNewBit) != 0) {
        const auto* made = reinterpret_cast<const NewContext*>(bits & ~kNewBit);
        Jump jump{from, argument, made->entry};
        return arrive(boost_context::jump_fcontext(made->handle, &jump));
    }
    Jump jump{from, argument, nullptr};
    return arrive(boost_context::jump_fcontext(to, &jump));
}

}  // namespace sluice::arch::fcontext

#endif
