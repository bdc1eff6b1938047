#include "base/free_memory.h"

#include <malloc.h>

#include <cstddef>

// Which allocator the program is linked with is known at its start only: those
// that it has not have no address. Their headers need not be installed.
extern "C" {
[[gnu::weak]] void mi_collect(bool force);
[[gnu::weak]] int mallctl(const char* name, void* old_value, std::size_t* old_bytes,
                          void* new_value, std::size_t new_bytes);
}

namespace sluice {

void return_free_memory() noexcept {
    if (mi_collect != nullptr) {
        mi_collect(true);
    } else if (mallctl != nullptr) {
        mallctl("arena.4096.purge", nullptr, nullptr, nullptr,
                0);  // 4096: all arenas
    } else {
        malloc_trim(0);
    }
}

}  // namespace sluice
