// The names of the functions of the running program, from its own ELF file's symbol table
// (generic ABI, chapter 4), and of those of shared libraries from the dynamic loader.
//
// It copies what it needs, allocates, and searches fast; rt/elf_symbols.h does neither.
//
// A stripped program has only the second kind. Line numbers are for addr2line: the addresses that
// it wants are what link_address() gives.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sluice::rt {

class SymbolTable {
  public:
    struct Place {
        std::string name;  // demangled; empty if unknown
        std::uintptr_t offset = 0;
    };

    // Empty when the file cannot be read. Any thread; blocks on the file.
    static SymbolTable of_this_program();

    // Of a return address or a program counter.
    Place find(std::uintptr_t address) const;

    // The value of a symbol as the linker gave it: of a thread_local its offset in the program's
    // TLS segment. Returns false if there is no such symbol.
    bool value_of(std::string_view name, std::uintptr_t& value) const;

    std::uintptr_t link_address(std::uintptr_t address) const noexcept { return address - base_; }
    bool empty() const noexcept { return symbols_.empty(); }

  private:
    struct Symbol {
        std::uintptr_t value;  // as linked
        std::uint64_t size;
        std::uint32_t name;  // offset in names_
        bool is_function;
    };

    std::uintptr_t base_ = 0;  // where the program was loaded, minus where it was linked to
    std::vector<Symbol> symbols_;
    std::string names_;
};

}  // namespace sluice::rt
