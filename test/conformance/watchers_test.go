package conformance

import (
	"context"
	"slices"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"sluice.test/harness"
)

// fenceKey is watched by every stream's fence; no scenario uses it.
const fenceKey, fenceID = "\xfe-fence", int64(1_000_000)

// stream is one Watch RPC whose answers are collected as they come.
type stream struct {
	r        *Run
	rpc      pb.Watch_WatchClient
	cancel   context.CancelFunc
	incoming chan *pb.WatchResponse
	ended    error               // why incoming was closed
	early    []*pb.WatchResponse // came before an answer that was waited for; not yet recorded
	fenced   bool
}

func (r *Run) Stream() *stream {
	ctx, cancel := context.WithCancel(r.Ctx)
	rpc, err := r.Watch.Watch(ctx)
	r.Must(err)
	s := &stream{r: r, rpc: rpc, cancel: cancel, incoming: make(chan *pb.WatchResponse, 10_000)}
	r.closes = append(r.closes, cancel)
	go func() {
		defer close(s.incoming)
		for {
			m, err := rpc.Recv()
			if err != nil {
				s.ended = err
				return
			}
			s.incoming <- m
		}
	}()
	return s
}

// Send sends a request and records it.
func (s *stream) Send(q *pb.WatchRequest) {
	s.r.Note("Watch%s", s.r.Normal.Text(q))
	s.r.Must(s.rpc.Send(q))
}

// Create asks for a watcher and records the answer, which must come before any event of it. What
// other watchers of the stream are told meanwhile is left to the next Settle.
func (s *stream) Create(q *pb.WatchCreateRequest) {
	s.Send(createRequest(q))
	var others []*pb.WatchResponse
	m := s.receive()
	for ; !m.Created; m = s.receive() {
		others = append(others, m)
	}
	s.early = append(others, s.early...)
	s.r.Note("<- %s", s.r.Normal.Text(m))
}

func createRequest(q *pb.WatchCreateRequest) *pb.WatchRequest {
	return &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: q}}
}

func (s *stream) Cancel(id int64) {
	s.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{
		CancelRequest: &pb.WatchCancelRequest{WatchId: id},
	}})
}

func (s *stream) RequestProgress() {
	s.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{
		ProgressRequest: &pb.WatchProgressRequest{},
	}})
}

// receive waits for one message.
func (s *stream) receive() *pb.WatchResponse {
	if len(s.early) > 0 {
		m := s.early[0]
		s.early = s.early[1:]
		return m
	}
	select {
	case m, ok := <-s.incoming:
		if !ok {
			s.r.Fail("the stream ended: %v", s.ended)
		}
		return m
	case <-time.After(callTimeout):
		s.r.Fail("no watch response came")
	}
	return nil
}

// Next receives one message and records all of it.
func (s *stream) Next() *pb.WatchResponse {
	m := s.receive()
	s.r.Note("<- %s", s.r.Normal.Text(m))
	return m
}

// End waits for the stream's end and records its status.
func (s *stream) End() {
	for {
		select {
		case m, ok := <-s.incoming:
			if !ok {
				s.r.Note("stream ended: %s", harness.ErrorText(s.ended))
				return
			}
			s.r.Note("<- %s", s.r.Normal.Text(m))
		case <-time.After(callTimeout):
			s.r.Fail("the stream did not end")
		}
	}
}

// Settle writes a mark, receives until the mark's event and all events before it have come, and
// records each watcher's events in order. How a server groups revisions into messages, and how it
// interleaves watchers, is its own affair; that one revision's events share a message is checked.
func (s *stream) Settle() { s.SettleAfter(0) }

// SettleAfter is Settle for watchers that must catch up with history, at their own pace: it also
// waits for this many events.
func (s *stream) SettleAfter(events int) {
	r := s.r
	var lines seen
	lines.stream, lines.last, lines.of = s, map[int64]int64{}, map[int64][]string{}
	if !s.fenced {
		s.fenced = true
		q := &pb.WatchCreateRequest{Key: []byte(fenceKey), WatchId: fenceID}
		r.Must(s.rpc.Send(createRequest(q)))
		for m := s.receive(); m.WatchId != fenceID; m = s.receive() {
			lines.add(m)
		}
	}
	ctx, cancel := r.Timeout()
	defer cancel()
	_, err := r.KV.Put(ctx, &pb.PutRequest{Key: []byte(fenceKey)})
	r.Must(err)
	for m := s.receive(); m.WatchId != fenceID; m = s.receive() {
		lines.add(m)
	}
	// A watcher that lags behind the synced ones may still have something to say.
	for lines.events < events {
		lines.add(s.receive())
	}
	// Waits for time: that nothing more comes has no event.
	for quiet := time.After(150 * time.Millisecond); ; {
		select {
		case m, ok := <-s.incoming:
			r.Check(ok, "the stream ended: %v", s.ended)
			lines.add(m)
		case <-quiet:
			lines.note()
			return
		}
	}
}

// seen collects what one Settle receives, by watcher.
type seen struct {
	stream *stream
	of     map[int64][]string
	last   map[int64]int64 // the last revision of each watcher
	events int
}

func (l *seen) note() {
	ids := make([]int64, 0, len(l.of))
	for id := range l.of {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		for _, line := range l.of[id] {
			l.stream.r.Note("watcher %d: %s", id, line)
		}
	}
}

// add renders a message as lines and checks order: revisions grow from message to message.
func (l *seen) add(m *pb.WatchResponse) {
	r, id := l.stream.r, m.WatchId
	if len(m.Events) == 0 || m.Fragment || m.Canceled || m.Created {
		l.of[id] = append(l.of[id], r.Normal.Text(m))
	}
	l.events += len(m.Events)
	for i, e := range m.Events {
		revision := e.Kv.ModRevision
		r.Check(i > 0 || revision > l.last[id], "watcher %d: revision %d in two messages", id, revision)
		r.Check(revision >= l.last[id], "watcher %d: revisions run backwards", id)
		r.Check(revision <= m.Header.Revision, "an event from beyond the header's revision")
		l.last[id] = revision
		l.of[id] = append(l.of[id], r.Normal.Text(e))
	}
}
