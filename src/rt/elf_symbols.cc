#include "rt/elf_symbols.h"

#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "base/syscall.h"

namespace sluice::rt {

std::uintptr_t program_base() noexcept {
    std::uintptr_t base = 0;
    // The first object of the list is the program itself.
    dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* out) {
            *static_cast<std::uintptr_t*>(out) = info->dlpi_addr;
            return 1;
        },
        &base);
    return base;
}

ElfSymbols::ElfSymbols() noexcept {
    const int fd = sys::open("/proc/self/exe", O_RDONLY, 0);
    if (fd < 0) return;
    struct stat info{};
    if (sys::fstat(fd, &info) == 0 && info.st_size > 0) {
        const auto bytes = static_cast<std::size_t>(info.st_size);
        void* const at = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (at != MAP_FAILED) file_ = {static_cast<const std::byte*>(at), bytes};
    }
    sys::close(fd);
    find_table();
}

ElfSymbols::~ElfSymbols() {
    if (!file_.empty()) munmap(const_cast<std::byte*>(file_.data()), file_.size());
}

// Empty where the file is too short or the offset is no place for a T.
template <class T>
std::span<const T> ElfSymbols::part(std::uint64_t offset, std::uint64_t bytes) const noexcept {
    if (offset > file_.size() || bytes > file_.size() - offset || offset % alignof(T) != 0)
        return {};
    return {reinterpret_cast<const T*>(file_.data() + offset), bytes / sizeof(T)};
}

void ElfSymbols::find_table() noexcept {
    const auto header = part<Elf64_Ehdr>(0, sizeof(Elf64_Ehdr));
    if (header.empty() || std::memcmp(header[0].e_ident, ELFMAG, SELFMAG) != 0 ||
        header[0].e_ident[EI_CLASS] != ELFCLASS64 || header[0].e_shentsize != sizeof(Elf64_Shdr)) {
        return;
    }
    const auto sections =
        part<Elf64_Shdr>(header[0].e_shoff, header[0].e_shnum * sizeof(Elf64_Shdr));
    const auto table = std::ranges::find(sections, Elf64_Word{SHT_SYMTAB}, &Elf64_Shdr::sh_type);
    if (table == sections.end() || table->sh_link >= sections.size()) return;
    const Elf64_Shdr& strings = sections[table->sh_link];
    const auto names = part<char>(strings.sh_offset, strings.sh_size);
    if (names.empty() || names.back() != '\0') return;
    names_ = names;
    symbols_ = part<Elf64_Sym>(table->sh_offset, table->sh_size);
}

const char* ElfSymbols::name(const Elf64_Sym& symbol) const noexcept {
    return symbol.st_name < names_.size() ? names_.data() + symbol.st_name : "";
}

// The innermost, where one lies in another.
const Elf64_Sym* ElfSymbols::function_at(std::uintptr_t linked) const noexcept {
    const Elf64_Sym* found = nullptr;
    for (const Elf64_Sym& symbol : symbols_) {
        const unsigned type = ELF64_ST_TYPE(symbol.st_info);
        if (type != STT_FUNC && type != STT_NOTYPE) continue;
        if (symbol.st_shndx == SHN_UNDEF || symbol.st_value > linked) continue;
        if (linked - symbol.st_value >= symbol.st_size) continue;
        if (found == nullptr || symbol.st_value > found->st_value) found = &symbol;
    }
    return found;
}

}  // namespace sluice::rt
