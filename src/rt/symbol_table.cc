#include "rt/symbol_table.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>

#include "base/limits.h"

namespace sluice::rt {
namespace {

std::string demangled(const char* name) {
    int status = 0;
    const std::unique_ptr<char, decltype(&std::free)> text(
        abi::__cxa_demangle(name, nullptr, nullptr, &status), &std::free);
    return status == 0 ? text.get() : name;
}

// Reads `count` objects at `offset`; false if the file is too short.
template <class T>
bool read_at(std::ifstream& file, std::uint64_t offset, std::vector<T>& out, std::size_t count) {
    if (count > limits::kSymbolTableBytesMax / sizeof(T)) return false;
    out.resize(count);
    file.seekg(static_cast<std::streamoff>(offset));
    file.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(count * sizeof(T)));
    return file.good();
}

}  // namespace

SymbolTable SymbolTable::of_this_program() {
    SymbolTable table;
    // The first object of the list is the program itself.
    dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* base) {
            *static_cast<std::uintptr_t*>(base) = info->dlpi_addr;
            return 1;
        },
        &table.base_);
    if (!table.read("/proc/self/exe")) table.symbols_.clear();
    return table;
}

bool SymbolTable::read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::vector<Elf64_Ehdr> header;
    if (!read_at(file, 0, header, 1)) return false;
    if (std::memcmp(header[0].e_ident, ELFMAG, SELFMAG) != 0 ||
        header[0].e_ident[EI_CLASS] != ELFCLASS64 || header[0].e_shentsize != sizeof(Elf64_Shdr)) {
        return false;
    }
    std::vector<Elf64_Shdr> sections;
    if (!read_at(file, header[0].e_shoff, sections, header[0].e_shnum)) return false;
    const auto table = std::ranges::find(sections, Elf64_Word{SHT_SYMTAB}, &Elf64_Shdr::sh_type);
    if (table == sections.end() || table->sh_link >= sections.size()) return false;
    std::vector<Elf64_Sym> entries;
    std::vector<char> names;
    const Elf64_Shdr& strings = sections[table->sh_link];
    if (!read_at(file, table->sh_offset, entries, table->sh_size / sizeof(Elf64_Sym)) ||
        !read_at(file, strings.sh_offset, names, strings.sh_size)) {
        return false;
    }
    names_.assign(names.data(), names.size());
    for (const Elf64_Sym& entry : entries) {
        const unsigned type = ELF64_ST_TYPE(entry.st_info);
        const bool kept = type == STT_FUNC || type == STT_TLS || type == STT_NOTYPE;
        if (!kept || entry.st_shndx == SHN_UNDEF || entry.st_name >= names_.size()) continue;
        symbols_.push_back({entry.st_value, entry.st_size, entry.st_name, type != STT_TLS});
    }
    std::ranges::sort(symbols_, {}, &Symbol::value);
    return true;
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
