// ElfSymbols: the symbol table of the running program's own file, mapped and searched in place.
//
// It allocates no memory and takes no lock, so that a signal handler may make one: opening and
// mapping the file are its only system calls. A search reads the whole table: some milliseconds for
// 100,000 symbols. Who asks often, or wants C++ names, has rt/symbol_table.h.
//
//   const ElfSymbols symbols;
//   if (const Elf64_Sym* symbol = symbols.function_at(pc - program_base())) {
//       write_line(symbols.name(*symbol));
//   }
//
// Source: the ELF generic ABI, chapter 4.
#pragma once

#include <elf.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice::rt {

// Where the program was loaded, minus where it was linked to. Takes the dynamic loader's lock.
std::uintptr_t program_base() noexcept;

class ElfSymbols {
  public:
    // Empty if the file cannot be read or has been stripped.
    ElfSymbols() noexcept;
    ElfSymbols(const ElfSymbols&) = delete;
    ElfSymbols& operator=(const ElfSymbols&) = delete;
    ~ElfSymbols();

    std::span<const Elf64_Sym> all() const noexcept { return symbols_; }
    // What their st_name points into.
    std::span<const char> names() const noexcept { return names_; }
    // As the linker knows it; "" if the file is damaged.
    const char* name(const Elf64_Sym& symbol) const noexcept;
    // The function that holds an address as linked; null if none does.
    const Elf64_Sym* function_at(std::uintptr_t linked) const noexcept;

  private:
    void find_table() noexcept;
    template <class T>
    std::span<const T> part(std::uint64_t offset, std::uint64_t bytes) const noexcept;

    std::span<const std::byte> file_;
    std::span<const Elf64_Sym> symbols_;
    std::span<const char> names_;  // ends with a NUL, if not empty
};

}  // namespace sluice::rt
