#include "rt/symbol_table.h"

#include <cxxabi.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "rt/elf_symbols.h"

namespace sluice::rt {
namespace {

std::string demangled(const char* name) {
    int status = 0;
    const std::unique_ptr<char, decltype(&std::free)> text(
        abi::__cxa_demangle(name, nullptr, nullptr, &status), &std::free);
    return status == 0 ? text.get() : name;
}

}  // namespace

SymbolTable SymbolTable::of_this_program() {
    SymbolTable table;
    table.base_ = program_base();
    const ElfSymbols file;
    table.names_.assign(file.names().data(), file.names().size());
    for (const Elf64_Sym& entry : file.all()) {
        const unsigned type = ELF64_ST_TYPE(entry.st_info);
        const bool kept = type == STT_FUNC || type == STT_TLS || type == STT_NOTYPE;
        if (!kept || entry.st_shndx == SHN_UNDEF || entry.st_name >= table.names_.size()) continue;
        table.symbols_.push_back({entry.st_value, entry.st_size, entry.st_name, type != STT_TLS});
    }
    std::ranges::sort(table.symbols_, {}, &Symbol::value);
    return table;
}

SymbolTable::Place SymbolTable::find(std::uintptr_t address) const {
    const std::uintptr_t linked = link_address(address);
    auto next = std::ranges::upper_bound(symbols_, linked, {}, &Symbol::value);
    constexpr int kLabelsBetween = 8;  // labels without a size may lie between
    for (int i = 0; i < kLabelsBetween && next != symbols_.begin(); ++i) {
        const Symbol& symbol = *--next;
        if (!symbol.is_function || linked - symbol.value >= symbol.size) continue;
        return {demangled(names_.c_str() + symbol.name), linked - symbol.value};
    }
    Dl_info info{};
    if (dladdr(reinterpret_cast<const void*>(address), &info) == 0 || info.dli_sname == nullptr) {
        return {};
    }
    return {demangled(info.dli_sname), address - reinterpret_cast<std::uintptr_t>(info.dli_saddr)};
}

bool SymbolTable::value_of(std::string_view name, std::uintptr_t& value) const {
    for (const Symbol& symbol : symbols_) {
        if (name != names_.c_str() + symbol.name) continue;
        value = symbol.value;
        return true;
    }
    return false;
}

}  // namespace sluice::rt
