#include "base/free_memory.h"

#include <malloc.h>

#include <atomic>
#include <cstddef>

// Which allocator the program is linked with is known at its start only: those that it has not have
// no address. Their headers need not be installed.
extern "C" {
[[gnu::weak]] void mi_collect(bool force);
[[gnu::weak]] long mi_option_get(int option);
[[gnu::weak]] void mi_option_set(int option, long value);
[[gnu::weak]] int mallctl(const char* name, void* old_value, std::size_t* old_bytes,
                          void* new_value, std::size_t new_bytes);
}

namespace sluice {
namespace {

constexpr int kDecommitDelay = 15;  // mi_option_decommit_delay, in ms; 0: at once

std::atomic<int> prompt_frees = 0;  // PromptFrees that live

// What the program or its environment wants; read before it is changed first.
long usual_delay() {
    static const long delay = mi_option_get(kDecommitDelay);
    return delay;
}

}  // namespace

void return_free_memory() noexcept {
    if (mi_collect != nullptr) {
        mi_collect(true);
    } else if (mallctl != nullptr) {
        mallctl("arena.4096.purge", nullptr, nullptr, nullptr, 0);  // 4096: all arenas
    } else {
        malloc_trim(0);
    }
}

PromptFrees::PromptFrees() noexcept {
    if (mi_option_set == nullptr || mi_option_get == nullptr) return;
    (void)usual_delay();
    prompt_frees.fetch_add(1);
    mi_option_set(kDecommitDelay, 0);
}

// One that begins just now may lose its effect to the last one that ends, never the usual delay.
PromptFrees::~PromptFrees() {
    if (mi_option_set == nullptr || mi_option_get == nullptr) return;
    if (prompt_frees.fetch_sub(1) == 1) mi_option_set(kDecommitDelay, usual_delay());
}

}  // namespace sluice
