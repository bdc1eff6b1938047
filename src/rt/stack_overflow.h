// A fiber that runs off the end of its stack hits its guard page. The handler says which fiber it
// was, with a backtrace, and aborts:
//
//   stack overflow in fiber 7 "parser" on worker 1, a normal stack
//     #0 0x55d0c1a2b3c4 sluice::parse_value+0x1f
//
// It allocates nothing: the overflow may have come within malloc(). The symbol table is the
// program's file, mapped only then (rt/elf_symbols.h). Without one (stripped, no descriptor left)
// there are bare addresses. Any other fault goes to whoever handled it before.
#pragma once

#include <memory>

namespace sluice::rt {

// For SIGSEGV and SIGBUS; the first call in the process does it.
void install_stack_overflow_handler();

// While it lives, the calling thread handles signals on a stack of its own: the handler could not
// run on the one that has overflowed. A stack that was set before is set again afterwards.
class AlternateSignalStack {
  public:
    AlternateSignalStack();
    AlternateSignalStack(const AlternateSignalStack&) = delete;
    AlternateSignalStack& operator=(const AlternateSignalStack&) = delete;
    ~AlternateSignalStack();

  private:
    struct Saved;
    std::unique_ptr<Saved> saved_;
};

}  // namespace sluice::rt
