#include "net/http2/output_buffer.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "base/check.h"
#include "base/limits.h"

namespace sluice::http2 {

// An owned chunk (its bytes follow the struct) or a slice of `owner`.
struct OutputBuffer::Segment {
    Segment* next = nullptr;
    const char* data = nullptr;  // byte 0 of the chunk or slice
    std::uint32_t begin = 0;     // first byte not yet consumed
    std::uint32_t end = 0;       // behind the last byte appended
    std::uint32_t capacity = 0;  // 0: a slice, nothing can be appended
    SharedBytes owner;

    char* own_bytes() noexcept { return reinterpret_cast<char*>(this + 1); }
    std::size_t room() const noexcept { return capacity > end ? capacity - end : 0; }
};

namespace {
constexpr std::size_t kChunkBytesMin = 2048;
constexpr std::size_t kChunkAfterSliceBytes = 256;  // most often just the next frame's header
}  // namespace

OutputBuffer::OutputBuffer(OutputBuffer&& other) noexcept
    : head_(std::exchange(other.head_, nullptr)),
      tail_(std::exchange(other.tail_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

OutputBuffer& OutputBuffer::operator=(OutputBuffer&& other) noexcept {
    if (this == &other) return *this;
    clear();
    head_ = std::exchange(other.head_, nullptr);
    tail_ = std::exchange(other.tail_, nullptr);
    size_ = std::exchange(other.size_, 0);
    return *this;
}

OutputBuffer::Segment* OutputBuffer::add_segment(std::size_t capacity) {
    void* memory = ::operator new(sizeof(Segment) + capacity);
    auto* segment = new (memory) Segment;
    segment->capacity = static_cast<std::uint32_t>(capacity);
    segment->data = segment->own_bytes();
    (tail_ == nullptr ? head_ : tail_->next) = segment;
    tail_ = segment;
    return segment;
}

void OutputBuffer::pop_segment() noexcept {
    Segment* segment = head_;
    head_ = segment->next;
    if (head_ == nullptr) tail_ = nullptr;
    segment->~Segment();
    ::operator delete(segment);
}

char* OutputBuffer::reserve(std::size_t size) {
    SLUICE_ASSERT(size <= limits::kOutputChunkBytes);
    if (tail_ == nullptr || tail_->room() < size) {
        const bool after_slice = tail_ != nullptr && tail_->capacity == 0;
        const std::size_t usual = after_slice ? kChunkAfterSliceBytes
                                              : std::clamp<std::size_t>(size_ * 2, kChunkBytesMin,
                                                                        limits::kOutputChunkBytes);
        add_segment(std::max(size, usual));
    }
    return tail_->own_bytes() + tail_->end;
}

void OutputBuffer::commit(std::size_t used) noexcept {
    SLUICE_ASSERT(tail_ != nullptr && used <= tail_->room());
    tail_->end += static_cast<std::uint32_t>(used);
    size_ += used;
}

void OutputBuffer::append(std::string_view bytes) {
    while (!bytes.empty()) {
        const std::size_t room = tail_ == nullptr ? 0 : tail_->room();
        const std::size_t part = std::min(bytes.size(), room);
        if (part == 0) {
            reserve(std::min<std::size_t>(bytes.size(), limits::kOutputChunkBytes));
            continue;
        }
        std::memcpy(tail_->own_bytes() + tail_->end, bytes.data(), part);
        commit(part);
        bytes.remove_prefix(part);
    }
}

void OutputBuffer::append_shared(const SharedBytes& owner, std::string_view slice) {
    SLUICE_ASSERT(slice.empty() ||
                  (slice.data() >= owner.view().data() &&
                   slice.data() + slice.size() <= owner.view().data() + owner.size()));
    if (slice.size() < limits::kOutputShareBytesMin) return append(slice);
    Segment* segment = add_segment(0);
    segment->data = slice.data();
    segment->end = static_cast<std::uint32_t>(slice.size());
    segment->owner = owner;
    size_ += slice.size();
}

void OutputBuffer::move_front(OutputBuffer& from, std::size_t size) {
    SLUICE_ASSERT(this != &from && size <= from.size_);
    while (size > 0) {
        const Segment& segment = *from.head_;
        const std::size_t part = std::min<std::size_t>(size, segment.end - segment.begin);
        const std::string_view bytes(segment.data + segment.begin, part);
        if (segment.owner)
            append_shared(segment.owner, bytes);
        else
            append(bytes);
        from.consume(part);
        size -= part;
    }
}

unsigned OutputBuffer::gather(std::span<iovec> parts) const noexcept {
    unsigned used = 0;
    for (const Segment* segment = head_; segment != nullptr && used < parts.size();
         segment = segment->next) {
        if (segment->begin == segment->end) continue;
        parts[used].iov_base = const_cast<char*>(segment->data + segment->begin);
        parts[used].iov_len = segment->end - segment->begin;
        ++used;
    }
    return used;
}

void OutputBuffer::consume(std::size_t size) noexcept {
    SLUICE_ASSERT(size <= size_);
    size_ -= size;
    while (head_ != nullptr) {
        const std::size_t part = std::min<std::size_t>(size, head_->end - head_->begin);
        head_->begin += static_cast<std::uint32_t>(part);
        size -= part;
        if (head_->begin != head_->end) break;
        pop_segment();
    }
    SLUICE_ASSERT(size == 0);
}

void OutputBuffer::clear() noexcept {
    while (head_ != nullptr) pop_segment();
    size_ = 0;
}

}  // namespace sluice::http2
