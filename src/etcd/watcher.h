// One watcher, and the lists that watchers stand in. Data only: the hub changes it (watch_hub.h
// draws the states), everything here is guarded by the hub's lock.
//
// A watcher stands in exactly one list, chosen by its state, and leaves it in O(1) without knowing
// which it is.
#pragma once

#include <cstdint>

#include "base/check.h"
#include "storage/mvcc/types.h"

namespace sluice::etcd {

class WatchStream;
struct WatchGroup;

// A place in a circular list, or (as a member of nobody) the list itself.
struct WatcherLink {
    WatcherLink* prev = this;
    WatcherLink* next = this;

    WatcherLink() = default;
    WatcherLink(const WatcherLink&) = delete;
    WatcherLink& operator=(const WatcherLink&) = delete;

    bool alone() const { return next == this; }
    void push_back(WatcherLink& link) {
        SLUICE_ASSERT(link.alone());
        link.prev = prev;
        link.next = this;
        prev->next = &link;
        prev = &link;
    }
    void unlink() {
        SLUICE_ASSERT(prev->next == this && next->prev == this);
        prev->next = next;
        next->prev = prev;
        prev = next = this;
    }
};

enum class WatcherState : std::uint8_t {
    kNew,        // in no list
    kSynced,     // in its group's list: sees what is published
    kBehind,     // in the hub's behind_ or selected_: sees slices of history
    kParked,     // in its stream's parked_: waits for the client to read
    kCancelled,  // in no list: ended by a compaction
};

struct Watcher : WatcherLink {
    // Options that change what is sent; the first four select the shared body.
    static constexpr std::uint8_t kNoPut = 1;
    static constexpr std::uint8_t kNoDelete = 2;
    static constexpr std::uint8_t kPrevKv = 4;
    static constexpr std::uint8_t kFragment = 8;
    static constexpr std::uint8_t kVariantMask = 15;
    static constexpr std::uint8_t kProgressNotify = 16;

    WatchStream* stream = nullptr;
    WatchGroup* group = nullptr;
    std::int64_t id = 0;
    // The first revision that it still wants. While SYNCED it may be older, but never newer than
    // the truth.
    storage::Revision next_revision = 0;
    std::uint8_t options = 0;
    WatcherState state = WatcherState::kNew;
    bool idle = true;       // no event since the last progress notification
    bool may_lead = false;  // was created with a start revision ahead of the store

    std::uint8_t variant() const { return options & kVariantMask; }
};
static_assert(sizeof(Watcher) <= 64, "a watcher is meant to be small: millions of them");

inline Watcher& as_watcher(WatcherLink& link) {
    return static_cast<Watcher&>(link);
}

}  // namespace sluice::etcd
