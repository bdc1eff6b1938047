package durability

import (
	"context"
	"fmt"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"sluice.test/harness"
)

const verifyTimeout = 30 * time.Second

// history is what a restarted server says happened since the last check: per revision its events.
type history struct {
	first, last int64
	events      map[int64][]*mvccpb.Event
}

// readHistory watches from a revision on until the store's newest revision has come.
func readHistory(ctx context.Context, s *harness.Server, from int64) (*history, error) {
	conn, err := dial(s)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	all := &pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}, CountOnly: true}
	now, err := pb.NewKVClient(conn).Range(ctx, all)
	if err != nil {
		return nil, err
	}
	h := &history{first: from, last: now.Header.Revision, events: map[int64][]*mvccpb.Event{}}
	if h.last < h.first {
		return h, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rpc, err := pb.NewWatchClient(conn).Watch(ctx)
	if err != nil {
		return nil, err
	}
	create := &pb.WatchCreateRequest{Key: []byte{0}, RangeEnd: []byte{0}, StartRevision: from}
	q := &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: create}}
	if err := rpc.Send(q); err != nil {
		return nil, err
	}
	for seen := int64(0); seen < h.last; {
		m, err := rpc.Recv()
		if err != nil {
			return nil, err
		}
		if m.Canceled {
			return nil, fmt.Errorf("the watch was canceled: %s", m.CancelReason)
		}
		for _, e := range m.Events {
			if e.Kv.ModRevision < seen {
				return nil, fmt.Errorf("event of revision %d after %d", e.Kv.ModRevision, seen)
			}
			seen = e.Kv.ModRevision
			h.events[seen] = append(h.events[seen], e)
		}
	}
	return h, nil
}

// verify compares a history with what the writers know: every answered operation is there whole at
// the revision it was answered with; an operation in doubt is there whole or not at all; and there
// is nothing else, so that revisions have no gap. It returns how many doubts turned out as done.
func (f *fleet) verify(h *history) (done int, err error) {
	claimed := map[int64]bool{}
	for _, w := range f.writers {
		for _, a := range w.acked {
			if claimed[a.revision] {
				return 0, fmt.Errorf("revision %d was given to two operations", a.revision)
			}
			claimed[a.revision] = true
			if err := w.whole(a.number, h.events[a.revision]); err != nil {
				return 0, fmt.Errorf("acknowledged at revision %d: %w", a.revision, err)
			}
		}
	}
	for revision := h.first; revision <= h.last; revision++ {
		events := h.events[revision]
		if len(events) == 0 {
			return 0, fmt.Errorf("revision %d of %d-%d has no event", revision, h.first, h.last)
		}
		if claimed[revision] {
			continue
		}
		w, number, err := f.author(events[0])
		if err != nil {
			return 0, fmt.Errorf("revision %d: %w", revision, err)
		}
		if number != w.doubt {
			return 0, fmt.Errorf("revision %d: writer %d's operation %d, but only %d is in doubt",
				revision, w.id, number, w.doubt)
		}
		if err := w.whole(number, events); err != nil {
			return 0, fmt.Errorf("in doubt, at revision %d: %w", revision, err)
		}
		w.doubt = -1 // may not happen twice
		done++
	}
	return done, nil
}

func (f *fleet) author(e *mvccpb.Event) (*writer, int, error) {
	var id int
	if _, err := fmt.Sscanf(string(e.Kv.Key), "w%d/", &id); err != nil || id >= len(f.writers) {
		return nil, 0, fmt.Errorf("nobody wrote %q", e.Kv.Key)
	}
	number, ok := numberOf(e.Kv.Value)
	if !ok {
		return nil, 0, fmt.Errorf("nobody wrote %q = %q", e.Kv.Key, e.Kv.Value)
	}
	return f.writers[id], number, nil
}

// whole checks that the events are exactly the puts of an operation, plus the delete of a group's
// fourth key where there was one.
func (w *writer) whole(number int, events []*mvccpb.Event) error {
	want := w.keysOf(number)
	puts := map[string]string{}
	for _, e := range events {
		if e.Type == mvccpb.Event_DELETE {
			if !isGroup(number) || !strings.HasPrefix(string(e.Kv.Key), string(w.key("single"))) {
				return fmt.Errorf("writer %d, operation %d: %q was deleted", w.id, number, e.Kv.Key)
			}
			continue
		}
		puts[string(e.Kv.Key)] = string(e.Kv.Value)
	}
	if len(puts) != len(want) {
		return fmt.Errorf("writer %d, operation %d: %d of %d puts: %v", w.id, number, len(puts), len(want), puts)
	}
	for _, key := range want {
		if puts[key] != valueOf(number) {
			return fmt.Errorf("writer %d, operation %d: %q = %q", w.id, number, key, puts[key])
		}
	}
	return nil
}
