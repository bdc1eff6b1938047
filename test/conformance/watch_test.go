package conformance

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc/metadata"
)

func watchKey(key string) *pb.WatchCreateRequest { return &pb.WatchCreateRequest{Key: []byte(key)} }

func watchAll() *pb.WatchCreateRequest {
	return &pb.WatchCreateRequest{Key: []byte("a"), RangeEnd: []byte("zz")}
}

// writeSome makes one of each kind of event: revisions +1 to +6 from a wiped store.
func writeSome(r *Run) {
	r.Put("a", "1")
	r.Put("b", "1")
	r.Put("a", "2")
	r.Delete("b")
	r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{opPut("c", "1"), opPut("a", "3"), opDelete("b", "")}})
	r.DeleteRange(&pb.DeleteRangeRequest{Key: []byte("a"), RangeEnd: []byte("d")})
}

func TestWatchEvents(t *testing.T) {
	watching := func(q *pb.WatchCreateRequest) func(r *Run) {
		return func(r *Run) {
			s := r.Stream()
			s.Create(q)
			writeSome(r)
			s.Settle()
		}
	}
	filtered := func(f ...pb.WatchCreateRequest_FilterType) *pb.WatchCreateRequest {
		q := watchAll()
		q.Filters = f
		return q
	}
	withPrev := watchAll()
	withPrev.PrevKv = true
	compare(t,
		scenario{"one key", watching(watchKey("a"))},
		scenario{"a range", watching(watchAll())},
		scenario{"from key", watching(&pb.WatchCreateRequest{Key: []byte("b"), RangeEnd: []byte{0}})},
		scenario{"everything", watching(&pb.WatchCreateRequest{RangeEnd: []byte{0}})},
		scenario{"everything from zero", watching(&pb.WatchCreateRequest{Key: []byte{0}, RangeEnd: []byte{0}})},
		scenario{"empty key", watching(&pb.WatchCreateRequest{})},
		scenario{"prev_kv", watching(withPrev)},
		scenario{"no puts", watching(filtered(pb.WatchCreateRequest_NOPUT))},
		scenario{"no deletes", watching(filtered(pb.WatchCreateRequest_NODELETE))},
		scenario{"neither", watching(filtered(pb.WatchCreateRequest_NOPUT, pb.WatchCreateRequest_NODELETE))},
		scenario{"unknown filter", watching(filtered(9))},
		scenario{"one by one", func(r *Run) {
			s := r.Stream()
			s.Create(watchAll())
			r.Put("a", "1")
			s.Next()
			r.Delete("a")
			s.Next()
			r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{opPut("a", "1"), opPut("b", "1")}})
			s.Next()
		}},
		scenario{"the same key twice in one revision", func(r *Run) {
			s := r.Stream()
			s.Create(watchAll())
			r.Put("a", "1")
			r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{opDelete("a", ""), opDelete("a", "b"), opPut("c", "1")}})
			s.Settle()
		}},
		scenario{"lease in events", func(r *Run) {
			s := r.Stream()
			s.Create(withPrev)
			r.Grant(31, 1000)
			r.PutRequest(&pb.PutRequest{Key: []byte("a"), Value: []byte("1"), Lease: 31})
			r.PutRequest(&pb.PutRequest{Key: []byte("b"), Value: []byte("1"), Lease: 31})
			r.Revoke(31)
			s.Settle()
		}},
	)
}

func TestWatchHistory(t *testing.T) {
	from := func(n int64, prev bool) scenario {
		return scenario{fmt.Sprint("from +", n, " prev ", prev), func(r *Run) {
			writeSome(r)
			q := watchAll()
			q.StartRevision, q.PrevKv = r.Rev(n), prev
			s := r.Stream()
			s.Create(q)
			r.Put("later", "1")
			s.SettleAfter([]int{9, 8, 7, 6, 5, 3, 1, 0}[n-1])
		}}
	}
	for n := int64(1); n <= 8; n++ {
		compare(t, from(n, n%2 == 0))
	}
	compare(t,
		scenario{"far in the future", func(r *Run) {
			q := watchAll()
			q.StartRevision = r.Rev(4)
			s := r.Stream()
			s.Create(q)
			writeSome(r)
			s.Settle()
		}},
		scenario{"negative", func(r *Run) {
			q := watchAll()
			q.StartRevision = -1
			s := r.Stream()
			s.Create(q)
			s.Create(watchAll())
			r.Put("a", "1")
			s.Settle()
		}},
		scenario{"resume after a cut", func(r *Run) {
			s := r.Stream()
			s.Create(watchAll())
			r.Put("a", "1")
			s.Settle()
			s.cancel()
			s.End()
			writeSome(r)
			q := watchAll()
			q.StartRevision = r.Rev(3) // the put was +1, the mark +2
			s = r.Stream()
			s.Create(q)
			s.SettleAfter(8)
		}},
		scenario{"prev_kv in history", func(r *Run) {
			r.Put("a", "1")
			r.Put("a", "2")
			r.Delete("a")
			r.Put("a", "3")
			r.Compact(&pb.CompactionRequest{Revision: r.Rev(2), Physical: true})
			q := watchAll()
			q.StartRevision, q.PrevKv = r.Rev(2), true
			s := r.Stream()
			s.Create(q)
			s.SettleAfter(3)
		}},
		scenario{"long history", func(r *Run) {
			for i := range 1500 {
				_, err := r.KV.Put(r.Ctx, &pb.PutRequest{Key: fmt.Appendf(nil, "k%d", i%7), Value: fmt.Append(nil, i)})
				r.Must(err)
			}
			q := watchAll()
			q.StartRevision = r.Rev(1)
			s := r.Stream()
			s.Create(q)
			s.SettleAfter(1500)
		}},
	)
}

func TestWatchCompacted(t *testing.T) {
	prepare := func(r *Run) {
		r.Put("a", "1")
		r.Put("a", "2")
		r.Delete("a")
		r.Put("a", "3")
		r.Put("a", "4")
		r.Compact(&pb.CompactionRequest{Revision: r.Rev(3), Physical: true})
	}
	from := func(n int64) scenario {
		return scenario{fmt.Sprint("from +", n, ", compacted at +3"), func(r *Run) {
			prepare(r)
			q := watchAll()
			q.StartRevision = r.Rev(n)
			s := r.Stream()
			s.Create(q)
			if n < 3 {
				s.Next()
			}
			s.Create(watchAll())
			r.Put("a", "5")
			s.SettleAfter(map[int64]int{1: 1, 2: 1, 3: 5, 4: 4, 6: 2}[n])
		}}
	}
	compare(t, from(1), from(2), from(3), from(4), from(6))
	compare(t, scenario{"a synced watcher outlives the compaction of what it has seen", func(r *Run) {
		s := r.Stream()
		s.Create(watchAll())
		prepare(r)
		r.Put("a", "5")
		s.Settle()
	}})
}

func TestWatchIds(t *testing.T) {
	withID := func(key string, id int64) *pb.WatchCreateRequest {
		q := watchKey(key)
		q.WatchId = id
		return q
	}
	compare(t,
		scenario{"chosen by the server and by the client", func(r *Run) {
			s := r.Stream()
			s.Create(watchKey("a"))
			s.Create(watchKey("b"))
			s.Create(withID("a", 2))
			s.Create(watchKey("a"))
			s.Create(withID("a", 77))
			s.Create(withID("c", -5))
			s.Create(watchKey("a"))
			r.Put("a", "1")
			r.Put("c", "1")
			s.Settle()
		}},
		scenario{"duplicate", func(r *Run) {
			s := r.Stream()
			s.Create(withID("a", 5))
			s.Create(withID("b", 5))
			r.Put("a", "1")
			r.Put("b", "1")
			s.Settle()
		}},
		scenario{"cancel and reuse", func(r *Run) {
			s := r.Stream()
			s.Create(withID("a", 5))
			r.Put("a", "1")
			s.Settle()
			s.Cancel(5)
			s.Next()
			r.Put("a", "2")
			s.Settle()
			s.Create(withID("a", 5))
			r.Put("a", "3")
			s.Settle()
		}},
		scenario{"cancel of an unknown id, and twice", func(r *Run) {
			s := r.Stream()
			s.Cancel(42)
			s.Create(watchKey("a"))
			s.Cancel(0)
			s.Next()
			s.Cancel(0)
			r.Put("a", "1")
			s.Settle()
		}},
		scenario{"empty range", func(r *Run) {
			s := r.Stream()
			for _, end := range []string{"b", "a"} {
				s.Create(&pb.WatchCreateRequest{Key: []byte("b"), RangeEnd: []byte(end)})
			}
			s.Create(watchKey("a"))
			r.Put("a", "1")
			s.Settle()
		}},
		scenario{"empty request", func(r *Run) {
			s := r.Stream()
			s.Send(&pb.WatchRequest{})
			s.Create(watchKey("a"))
			r.Put("a", "1")
			s.Settle()
		}},
	)
}

func TestWatchMany(t *testing.T) {
	compare(t,
		scenario{"500 watchers on one stream", func(r *Run) {
			s := r.Stream()
			for i := range 500 {
				s.Create(watchKey(fmt.Sprint("k", i%50)))
			}
			writeSome(r)
			for i := range 50 {
				r.Put(fmt.Sprint("k", i), "v")
			}
			s.Settle()
		}},
		scenario{"12 streams", func(r *Run) {
			var streams []*stream
			for range 12 {
				s := r.Stream()
				s.Create(watchAll())
				streams = append(streams, s)
			}
			writeSome(r)
			for _, s := range streams {
				s.Settle()
			}
		}},
	)
}

func TestWatchProgress(t *testing.T) {
	compare(t,
		scenario{"requested on synced watchers", func(r *Run) {
			s := r.Stream()
			s.Create(watchKey("a"))
			s.Create(watchKey("b"))
			r.Put("a", "1")
			s.Next()
			r.Put("z", "1")
			s.RequestProgress()
			s.Next()
		}},
		scenario{"requested without a watcher", func(r *Run) {
			s := r.Stream()
			r.Put("z", "1")
			s.RequestProgress()
			s.Create(watchKey("a"))
			r.Put("a", "1")
			s.Settle()
		}},
	)
}

// TestWatchProgressNotify waits for the periodic notice: it carries the newest revision.
func TestWatchProgressNotify(t *testing.T) {
	compareFresh(t, []string{"--watch-progress-notify-interval=300ms"}, func(r *Run) {
		q := watchKey("a")
		q.ProgressNotify = true
		s := r.Stream()
		s.Create(q)
		r.Put("other", "1")
		for {
			m := s.receive()
			if m.Header.Revision == r.Rev(1) {
				r.Note("notice %s", r.Normal.Text(m))
				break
			}
			r.Check(len(m.Events) == 0, "an event of another key")
		}
		// Waits for time, three intervals: that no notice comes has no event.
		quiet := r.Stream()
		quiet.Create(watchKey("a"))
		select {
		case m := <-quiet.incoming:
			r.Fail("a notice that nobody asked for: %v", m)
		case <-time.After(time.Second):
		}
	})
}

// TestWatchFragment sends one revision whose events outgrow a message.
func TestWatchFragment(t *testing.T) {
	for _, fragment := range []bool{true, false} {
		compareFresh(t, []string{"--max-request-bytes=8000000"}, func(r *Run) {
			for i := range 20 {
				q := &pb.PutRequest{Key: fmt.Appendf(nil, "k%02d", i), Value: bytes.Repeat([]byte("x"), 1<<20)}
				_, err := r.KV.Put(r.Ctx, q)
				r.Must(err)
			}
			s := r.Stream()
			s.Create(&pb.WatchCreateRequest{
				Key: []byte("k"), RangeEnd: []byte("l"), Fragment: fragment, PrevKv: true,
			})
			r.DeleteRange(&pb.DeleteRangeRequest{Key: []byte("k"), RangeEnd: []byte("l")})
			var events []*mvccpb.Event
			messages := 0
			for len(events) < 20 {
				m := s.receive()
				messages++
				events = append(events, m.Events...)
				r.Check(m.Fragment == (len(events) < 20), "fragment flag %v after %d events", m.Fragment, len(events))
			}
			r.Check((messages > 1) == fragment, "%d messages", messages)
			r.Note("%s", r.Normal.Text(&pb.WatchResponse{Events: events}))
		})
	}
}

func TestWatchStreamEnds(t *testing.T) {
	compare(t,
		scenario{"half closed by the client: events go on", func(r *Run) {
			s := r.Stream()
			s.Create(watchKey("a"))
			r.Must(s.rpc.CloseSend())
			r.Put("a", "1")
			s.Next()
			r.Put("a", "2")
			s.Next()
		}},
		scenario{"canceled by the client", func(r *Run) {
			s := r.Stream()
			s.Create(watchKey("a"))
			s.cancel()
			s.End()
			r.Put("a", "1")
		}},
		scenario{"requires a leader and has one", func(r *Run) {
			ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(r.Ctx, "hasleader", "true"))
			defer cancel()
			rpc, err := r.Watch.Watch(ctx)
			r.Must(err)
			r.Must(rpc.Send(createRequest(watchKey("a"))))
			m, err := rpc.Recv()
			r.Record("Watch", watchKey("a"), m, err)
		}},
	)
}
