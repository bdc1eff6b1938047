#include "rt/stack_overflow.h"

#include <dlfcn.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "arch/switch.h"
#include "base/check.h"
#include "rt/backtrace.h"
#include "rt/current_worker.h"
#include "rt/elf_symbols.h"
#include "rt/function_name.h"
#include "rt/scheduler.h"

namespace sluice::rt {
namespace {

// Most of it is touched only by the handler below.
constexpr std::size_t kSignalStackBytes = std::size_t{128} * 1024 * arch::kStackFactor;

// Written once, before the handler is installed.
struct sigaction previous_segv;
struct sigaction previous_bus;
std::uintptr_t program_base_then;

void write_line(const char* text, int length) {
    if (length > 0) (void)!write(STDERR_FILENO, text, static_cast<std::size_t>(length));
}

// " name+0x1f", or nothing where no symbol is known; of another object than the program (RocksDB,
// the C library) only what it exports. The loader's lock, which dladdr() takes, is a recursive one.
void write_symbol(const ElfSymbols& symbols, std::uintptr_t address) {
    const char* symbol = nullptr;
    std::uintptr_t begin = 0;
    Dl_info info{};
    if (const Elf64_Sym* const function = symbols.function_at(address - program_base_then)) {
        symbol = symbols.name(*function);
        begin = function->st_value + program_base_then;
    } else if (dladdr(reinterpret_cast<const void*>(address), &info) != 0) {
        symbol = info.dli_sname;
        begin = reinterpret_cast<std::uintptr_t>(info.dli_saddr);
    }
    if (symbol == nullptr || *symbol == '\0') return;
    std::array<char, 400> name;
    const bool known = function_name(symbol, name) > 0;
    char text[512];
    write_line(text, std::snprintf(text, sizeof text, " %.400s+%#zx", known ? name.data() : symbol,
                                   address - begin));
}

// The address is out before its symbol is looked for, should that fail.
void write_frames(const void* machine, const StackArena::Bounds& stack) {
    const Interrupted at = interrupted_at(machine);
    const Backtrace trace = walk_frames(at.pc, at.frame, stack.lower, stack.upper);
    const ElfSymbols symbols;
    int number = 0;
    for (const std::uintptr_t address : trace.frames()) {
        char text[64];
        write_line(text, std::snprintf(text, sizeof text, "  #%d %#zx", number++, address));
        write_symbol(symbols, address);
        write_line("\n", 1);
    }
}

void on_fault(int signal, siginfo_t* info, void* machine) {
    Worker* worker = current_worker();
    if (worker != nullptr) {
        const StackArenas& arenas = worker->scheduler().stacks();
        if (const Fiber* fiber = arenas.overflowed_into(info->si_addr)) {
            char text[256];
            write_line(text, std::snprintf(
                                 text, sizeof text,
                                 "stack overflow in fiber %llu \"%s\" on worker %u, a %s stack\n",
                                 static_cast<unsigned long long>(fiber->id()), fiber->name(),
                                 worker->index(), stack_class_name(fiber->stack_class())));
            write_frames(machine, arenas.bounds(fiber));
            std::abort();
        }
    }
    // Not ours: let the access fault again under the handler that was there before.
    sigaction(signal, signal == SIGSEGV ? &previous_segv : &previous_bus, nullptr);
}

}  // namespace

void install_stack_overflow_handler() {
    static std::once_flag once;
    std::call_once(once, [] {
        program_base_then = program_base();
        struct sigaction action{};
        action.sa_sigaction = on_fault;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        sigemptyset(&action.sa_mask);
        sigaction(SIGSEGV, nullptr, &previous_segv);
        sigaction(SIGBUS, nullptr, &previous_bus);
        SLUICE_CHECK(sigaction(SIGSEGV, &action, nullptr) == 0);
        SLUICE_CHECK(sigaction(SIGBUS, &action, nullptr) == 0);
    });
}

struct AlternateSignalStack::Saved {
    std::unique_ptr<std::byte[]> memory{new std::byte[kSignalStackBytes]};
    stack_t before{};
};

AlternateSignalStack::AlternateSignalStack() : saved_(std::make_unique<Saved>()) {
    stack_t ours{};
    ours.ss_sp = saved_->memory.get();
    ours.ss_size = kSignalStackBytes;
    SLUICE_CHECK(sigaltstack(&ours, &saved_->before) == 0);
}

AlternateSignalStack::~AlternateSignalStack() {
    SLUICE_CHECK(sigaltstack(&saved_->before, nullptr) == 0);
}

}  // namespace sluice::rt
