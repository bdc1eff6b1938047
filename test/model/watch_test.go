package model

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"sluice.test/harness"
)

const (
	streamCount  = 3
	maxWatchers  = 24
	fenceID      = int64(1 << 40) // the watcher of each stream that sees the marks
	fenceKey     = "\xfe-fence"
	startAhead   = 3 // watchers start at most this far in the future
	pollInterval = 500 * time.Microsecond
	askAgain     = 20 * time.Millisecond // a server that still reads history may skip a progress request
)

// collector is one watch stream of one side; it keeps what each watcher was told, in order.
type collector struct {
	rpc    pb.Watch_WatchClient
	cancel context.CancelFunc

	mu      sync.Mutex
	told    map[int64][]string
	last    map[int64]int64
	mark    int64 // the newest mark seen
	synced  int64 // the newest revision of a progress answer: nothing before it is still to come
	broken  string
	stopped bool
}

func (s *side) openStream() (*collector, error) {
	ctx, cancel := context.WithCancel(context.Background())
	rpc, err := s.watch.Watch(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	c := &collector{rpc: rpc, cancel: cancel, told: map[int64][]string{}, last: map[int64]int64{}}
	go c.collect()
	return c, c.create(&pb.WatchCreateRequest{Key: []byte(fenceKey), WatchId: fenceID})
}

func (c *collector) create(q *pb.WatchCreateRequest) error {
	return c.rpc.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: q}})
}

// requestProgress asks for one answer once no watcher of the stream lags; a dead stream shows in
// its state.
func (c *collector) requestProgress() {
	_ = c.rpc.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{
		ProgressRequest: &pb.WatchProgressRequest{},
	}})
}

func (c *collector) collect() {
	for {
		m, err := c.rpc.Recv()
		c.mu.Lock()
		if err != nil {
			if !c.stopped {
				c.broken = fmt.Sprint("the stream ended: ", err)
			}
			c.mu.Unlock()
			return
		}
		c.add(m)
		c.mu.Unlock()
	}
}

// add takes one message apart: grouping into messages is the server's own affair, but a revision
// never comes in two unless fragments were asked for, and revisions never run backwards.
func (c *collector) add(m *pb.WatchResponse) {
	normal := &harness.Normal{}
	id := m.WatchId
	if id == -1 && !m.Created && !m.Canceled {
		c.synced = max(c.synced, m.Header.Revision)
		return
	}
	if len(m.Events) == 0 {
		c.told[id] = append(c.told[id], normal.Text(m))
		return
	}
	for i, e := range m.Events {
		revision := e.Kv.ModRevision
		if revision < c.last[id] || i == 0 && revision == c.last[id] {
			c.broken = fmt.Sprintf("watcher %d: revision %d after %d", id, revision, c.last[id])
		}
		if revision > m.Header.Revision {
			c.broken = fmt.Sprintf("watcher %d: revision %d under header %d", id, revision, m.Header.Revision)
		}
		c.last[id] = revision
		if id == fenceID {
			c.mark = revision
			continue
		}
		c.told[id] = append(c.told[id], normal.Text(e))
	}
}

func (c *collector) transcript(id int64) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.told[id])
}

// state is the revision up to which the stream has told all, and what went wrong.
func (c *collector) state() (complete int64, broken string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return min(c.mark, c.synced), c.broken
}

// stands says whether the fence has been created.
func (c *collector) stands() bool { return len(c.transcript(fenceID)) > 0 }

func (r *run) openStreams() {
	for _, s := range r.sides {
		s.streams = nil
		for range streamCount {
			c, err := s.openStream()
			if err != nil {
				r.t.Fatalf("%s: %v", s.server.Binary.Label, err)
			}
			s.streams = append(s.streams, c)
			r.t.Cleanup(c.cancel)
		}
	}
	r.await("the fences", (*collector).stands)
}

func (r *run) closeStreams() {
	for _, s := range r.sides {
		for _, c := range s.streams {
			c.mu.Lock()
			c.stopped = true
			c.mu.Unlock()
			c.cancel()
		}
	}
	clear(r.watchers)
}

// await polls until every stream of both sides is where it should be.
func (r *run) await(what string, done func(*collector) bool) {
	deadline := time.Now().Add(callTimeout)
	for _, s := range r.sides {
		for i, c := range s.streams {
			for !done(c) {
				_, broken := c.state()
				if broken != "" || time.Now().After(deadline) {
					r.mismatch(fmt.Sprintf("waiting for %s on stream %d of %s", what, i,
						s.server.Binary.Label), broken, "(expected it in time)")
				}
				time.Sleep(pollInterval)
			}
		}
	}
}

// createWatcher starts the same watcher on both sides and waits for both answers.
func (r *run) createWatcher(q *pb.WatchCreateRequest) {
	if len(r.watchers) >= maxWatchers {
		return
	}
	if q.StartRevision > 0 && q.StartRevision < r.gen.compacted {
		r.watchCompacted(q)
		return
	}
	stream := r.gen.random.IntN(streamCount)
	q.WatchId = r.nextID
	r.nextID++
	deadline := time.Now().Add(callTimeout)
	for _, s := range r.sides {
		c := s.streams[stream]
		refusals := len(c.transcript(-1)) // a refusal comes as watcher -1
		if err := c.create(q); err != nil {
			r.t.Fatal(err)
		}
		for len(c.transcript(q.WatchId)) == 0 && len(c.transcript(-1)) == refusals {
			_, broken := c.state()
			if broken != "" || time.Now().After(deadline) {
				what := fmt.Sprint("watch ", (&harness.Normal{}).Text(q))
				r.mismatch(what, s.server.Binary.Label+" "+broken, "(an answer)")
			}
			time.Sleep(50 * time.Microsecond)
		}
	}
	r.watchers[q.WatchId] = stream
	r.gen.count("WatchCreate", true)
}

// watchCompacted starts a watcher that the server must cancel, on a stream of its own: in etcd it
// would keep progress requests of its stream from being answered ever after.
func (r *run) watchCompacted(q *pb.WatchCreateRequest) {
	var texts [2]string
	r.onBoth(func(i int, s *side) {
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		defer cancel()
		rpc, err := s.watch.Watch(ctx)
		for message := 0; err == nil && message < 2; message++ {
			if message == 0 {
				err = rpc.Send(&pb.WatchRequest{
					RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: q},
				})
			}
			var m *pb.WatchResponse
			if m, err = rpc.Recv(); err == nil {
				texts[i] += (&harness.Normal{}).Text(m)
			}
			if m.GetCreated() && m.GetCanceled() {
				return // refused for another reason: one message says it all
			}
		}
		if err != nil {
			texts[i] += harness.ErrorText(err)
		}
	})
	if texts[0] != texts[1] {
		r.mismatch("watch "+(&harness.Normal{}).Text(q), texts[0], texts[1])
	}
}

// cancelWatcher ends the oldest watcher on both sides; what it has been told is compared first.
func (r *run) cancelWatcher() {
	if len(r.watchers) == 0 {
		return
	}
	r.checkpoint()
	oldest := int64(1 << 62)
	for id := range r.watchers {
		oldest = min(oldest, id)
	}
	stream := r.watchers[oldest]
	for _, s := range r.sides {
		cancel := &pb.WatchCancelRequest{WatchId: oldest}
		q := &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: cancel}}
		if err := s.streams[stream].rpc.Send(q); err != nil {
			r.t.Fatal(err)
		}
	}
	delete(r.watchers, oldest)
	r.checkpoint() // a canceled watcher that goes on talking would show here
	r.gen.count("WatchCancel", true)
}

// checkpoint marks both stores, waits until every stream has told all up to the mark, and compares
// what the watchers were told. There are as many marks as a watcher may start ahead of the store:
// a stream with a watcher of the future owes no progress answer.
func (r *run) checkpoint() {
	mark := int64(0)
	for range startAhead {
		q := &pb.PutRequest{Key: []byte(fenceKey)}
		a := both(r, q, func(s *side) unary[*pb.PutRequest, *pb.PutResponse] { return s.kv.Put })
		mark = a.GetHeader().GetRevision()
	}
	asked := map[*collector]time.Time{}
	r.await("all up to the mark", func(c *collector) bool {
		complete, _ := c.state()
		if complete < mark && time.Since(asked[c]) > askAgain {
			asked[c] = time.Now()
			c.requestProgress()
		}
		return complete >= mark
	})
	for stream := range streamCount {
		ids := map[int64]bool{}
		for _, s := range r.sides {
			s.streams[stream].ids(ids)
		}
		for id := range ids {
			r.compareWatcher(stream, id)
		}
	}
	for _, s := range r.sides {
		for _, c := range s.streams {
			if _, broken := c.state(); broken != "" {
				r.mismatch("a watch stream", s.server.Binary.Label+": "+broken, "(order kept)")
			}
		}
	}
}

func (r *run) compareWatcher(stream int, id int64) {
	subject, reference := r.sides[0].streams[stream], r.sides[1].streams[stream]
	deadline := time.Now().Add(callTimeout)
	for {
		got, want := subject.transcript(id), reference.transcript(id)
		if slices.Equal(got, want) {
			subject.forget(id, len(got))
			reference.forget(id, len(got))
			return
		}
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				r.mismatch(fmt.Sprintf("watcher %d, message %d", id, i), got[i], want[i])
			}
		}
		if time.Now().After(deadline) {
			shorter := min(len(got), len(want))
			r.mismatch(fmt.Sprintf("watcher %d was told %d and %d things", id, len(got), len(want)),
				fmt.Sprint(got[shorter:]), fmt.Sprint(want[shorter:]))
		}
		time.Sleep(pollInterval)
	}
}

// ids adds the watchers that have been told something; the fence is not one of them.
func (c *collector) ids(to map[int64]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.told {
		to[id] = id != fenceID
	}
	delete(to, fenceID)
}

// forget drops the first things told to a watcher, which have been compared.
func (c *collector) forget(id int64, count int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told[id] = c.told[id][count:]; len(c.told[id]) == 0 {
		delete(c.told, id)
	}
}
