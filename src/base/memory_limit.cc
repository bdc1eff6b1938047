#include "base/memory_limit.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "base/check.h"
#include "base/free_memory.h"
#include "base/limits.h"
#include "base/syscall.h"

namespace sluice {

std::size_t resident_bytes() noexcept {
    const int fd = sys::open("/proc/self/statm", O_RDONLY, 0);
    if (fd < 0) return 0;
    std::array<char, 128> text{};
    const ssize_t bytes = sys::read(fd, text.data(), text.size());
    sys::close(fd);
    // "total resident ...", in pages.
    const std::string_view fields(text.data(), bytes > 0 ? static_cast<std::size_t>(bytes) : 0);
    const std::size_t space = fields.find(' ');
    std::size_t pages = 0;
    if (space == std::string_view::npos) return 0;
    std::from_chars(fields.data() + space + 1, fields.data() + fields.size(), pages);
    return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

MemoryLimit::MemoryLimit(std::size_t bytes_max, std::function<std::size_t()> resident)
    : bytes_max_(bytes_max), resident_(std::move(resident)) {}

MemoryLimit::~MemoryLimit() {
    const MutexLock lock(mutex_);
    SLUICE_CHECK(caches_ == nullptr);
}

void MemoryLimit::add(Cache& cache) {
    const MutexLock lock(mutex_);
    SLUICE_CHECK(cache.link_ == nullptr);
    cache.next_ = caches_;
    cache.link_ = &caches_;
    if (caches_ != nullptr) caches_->link_ = &cache.next_;
    caches_ = &cache;
}

void MemoryLimit::remove(Cache& cache) {
    const MutexLock lock(mutex_);
    SLUICE_CHECK(cache.link_ != nullptr && *cache.link_ == &cache);
    *cache.link_ = cache.next_;
    if (cache.next_ != nullptr) cache.next_->link_ = cache.link_;
    cache.next_ = nullptr;
    cache.link_ = nullptr;
}

bool MemoryLimit::look(TimeNs now_ns, bool quiet) {
    const std::size_t resident = resident_();
    if (low_bytes_ == 0 || resident < low_bytes_) low_bytes_ = resident;
    const bool over = bytes_max_ != 0 && resident > bytes_max_;
    if (!over) pause_ns_ = 0;
    const bool over_and_due = over && (pause_ns_ == 0 || now_ns >= next_ns_);
    const std::size_t grown = low_bytes_ + low_bytes_ / 8 + limits::kMemoryGrowthBytes;
    if (!over_and_due && !(quiet && resident > grown)) {
        if (again_ns_ == 0 || now_ns < again_ns_) return false;
        again_ns_ = 0;
        shrink_all();
        return true;
    }
    shrink_all();
    again_ns_ = now_ns + limits::kMemoryAgainNs;
    pause_ns_ = std::clamp(2 * pause_ns_, limits::kMemoryPauseMinNs, limits::kMemoryPauseMaxNs);
    next_ns_ = now_ns + pause_ns_;
    return true;
}

void MemoryLimit::shrink_all() {
    epoch_.fetch_add(1, std::memory_order_release);  // pairs with epoch()
    shrink_here();
    low_bytes_ = resident_();
}

void MemoryLimit::shrink_here() noexcept {
    const PromptFrees prompt;
    {
        const MutexLock lock(mutex_);
        for (Cache* cache = caches_; cache != nullptr; cache = cache->next_) cache->shrink();
    }
    return_free_memory();
}

}  // namespace sluice
