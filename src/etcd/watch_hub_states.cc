// The states of a watcher (drawn in watch_hub.h): one function for each state entered.
#include "base/check.h"
#include "etcd/watch_hub.h"

namespace sluice::etcd {

// Takes the watcher out of its list and out of the counts of its state.
void WatchHub::leave_state(Watcher& watcher) {
    WatchStream& stream = *watcher.stream;
    switch (watcher.state) {
        case WatcherState::kNew:
            SLUICE_ASSERT(watcher.alone());
            break;
        case WatcherState::kSynced:
            watcher.unlink();
            break;
        case WatcherState::kBehind:
        case WatcherState::kParked:
            watcher.unlink();
            SLUICE_ASSERT(stream.behind_ > 0 && stats_.slow > 0);
            --stream.behind_;
            --stats_.slow;
            break;
        case WatcherState::kCancelled:
            SLUICE_ASSERT(stream.cancelled_ > 0);
            --stream.cancelled_;
            break;
    }
    watcher.state = WatcherState::kNew;
}

void WatchHub::make_synced(Watcher& watcher) {
    SLUICE_ASSERT(watcher.next_revision > current_);
    leave_state(watcher);
    watcher.state = WatcherState::kSynced;
    watcher.group->synced.push_back(watcher);
}

void WatchHub::make_behind(Watcher& watcher, Revision next) {
    SLUICE_ASSERT(next <= current_ && next >= watcher.next_revision);
    leave_state(watcher);
    watcher.next_revision = next;
    watcher.state = WatcherState::kBehind;
    ++watcher.stream->behind_;
    ++stats_.slow;
    behind_.try_emplace(next).first->second.push_back(watcher);
    scheduler_.catch_up_wanted();
}

void WatchHub::make_parked(Watcher& watcher, Revision next) {
    SLUICE_ASSERT(next <= current_ && next >= watcher.next_revision);
    leave_state(watcher);
    watcher.next_revision = next;
    watcher.state = WatcherState::kParked;
    ++watcher.stream->behind_;
    ++stats_.slow;
    watcher.stream->parked_.push_back(watcher);
}

// Its id stays taken until the client cancels it too, as in etcd.
void WatchHub::make_cancelled(Watcher& watcher) {
    leave_state(watcher);
    watcher.state = WatcherState::kCancelled;
    ++watcher.stream->cancelled_;
    index_.release(*watcher.group);
    watcher.group = nullptr;
}

// The last step: the caller erases the watcher from its stream.
void WatchHub::remove(Watcher& watcher) {
    WatchStream& stream = *watcher.stream;
    leave_state(watcher);
    if (watcher.group) index_.release(*watcher.group);
    watcher.group = nullptr;
    if (watcher.may_lead) {
        SLUICE_ASSERT(stream.ahead_ > 0);
        --stream.ahead_;
    }
    if (watcher.options & Watcher::kProgressNotify) {
        SLUICE_ASSERT(stream.with_progress_ > 0);
        --stream.with_progress_;
    }
    SLUICE_ASSERT(stats_.watchers > 0);
    --stats_.watchers;
}

}  // namespace sluice::etcd
