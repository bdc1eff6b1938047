// Package conformance runs the same scenario against the server under test and against a real
// etcd, and requires the same transcript: every response field, error code and error text.
package conformance

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"sluice.test/harness"
)

// callTimeout bounds every call and every wait for a message; nothing asserts how long one took.
const callTimeout = 15 * time.Second

// scenarioTimeout bounds a whole scenario, so that a call that hangs fails it and names the place.
const scenarioTimeout = time.Minute

var subject, reference *harness.Server

func TestMain(m *testing.M) {
	harness.Main(func() int {
		for _, start := range []struct {
			server **harness.Server
			binary harness.Binary
		}{{&subject, harness.Subject()}, {&reference, harness.Reference()}} {
			s, err := harness.Start(start.binary, harness.Options{})
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
			defer s.Remove()
			defer s.Kill() // does nothing after a clean stop
			*start.server = s
		}
		code := m.Run()
		for _, s := range []*harness.Server{subject, reference} {
			if err := s.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, "FAIL:", err)
				code = 1
			}
		}
		return code
	})
}

// Run is one scenario on one server: typed stubs, the transcript, and the revision the scenario
// began at. Failing a Run ends the scenario on that server.
type Run struct {
	Server  *harness.Server
	Ctx     context.Context
	Conn    *grpc.ClientConn
	KV      pb.KVClient
	Lease   pb.LeaseClient
	Watch   pb.WatchClient
	Maint   pb.MaintenanceClient
	Cluster pb.ClusterClient
	Normal  *harness.Normal

	lines  []string
	failed string
	closes []func()
}

type scenario struct {
	name string
	run  func(r *Run)
}

// compare runs each scenario on both servers at once and fails where the transcripts differ.
func compare(t *testing.T, scenarios ...scenario) {
	t.Helper()
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			compareOn(t, subject, reference, s.run)
		})
	}
}

// compareFresh does the same on a new pair of servers, started with the given flags.
func compareFresh(t *testing.T, flags []string, run func(r *Run)) {
	t.Helper()
	harness.Guard(t)
	servers := make([]*harness.Server, 0, 2)
	for _, b := range []harness.Binary{harness.Subject(), harness.Reference()} {
		s, err := harness.Start(b, harness.Options{Flags: flags})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Stop(); err != nil {
				t.Error(err)
			}
			s.Remove()
		})
		servers = append(servers, s)
	}
	compareOn(t, servers[0], servers[1], run)
}

func compareOn(t *testing.T, subject, reference *harness.Server, run func(r *Run)) {
	t.Helper()
	harness.Guard(t)
	revive(t, subject)
	revive(t, reference)
	runs := [2]*Run{{Server: subject}, {Server: reference}}
	var group sync.WaitGroup
	for _, r := range runs {
		group.Add(1)
		go func() {
			defer group.Done()
			defer r.close()
			defer r.recoverFailure()
			r.open()
			run(r)
		}()
	}
	group.Wait()
	for _, r := range runs {
		if r.failed != "" {
			t.Errorf("%s (%s): %s", r.Server.Binary.Label, r.Server.Binary.Path, r.failed)
		}
		if len(r.lines) == 0 {
			t.Errorf("%s: the scenario recorded nothing", r.Server.Binary.Label)
		}
		if r.died() {
			t.Errorf("%s died; its log ends: %s", r.Server.Binary.Label, r.Server.LogTail(2000))
		}
	}
	reportDifference(t, runs[0].lines, runs[1].lines)
}

// died says whether the server is gone.
func (r *Run) died() bool {
	if strings.Contains(strings.Join(r.lines, "\n")+r.failed, "Unavailable") {
		return r.Server.EndsSoon()
	}
	return !r.Server.Alive()
}

// revive starts a server again that died in an earlier scenario, which has failed for it.
func revive(t *testing.T, s *harness.Server) {
	t.Helper()
	if s.Alive() {
		return
	}
	again, err := harness.Start(s.Binary, harness.Options{DataDir: s.DataDir, Address: s.Address})
	if err != nil {
		t.Fatal(err)
	}
	*s = *again
}

// reportDifference shows the first line in which the transcripts part, with what led there.
func reportDifference(t *testing.T, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		g, w := "(nothing)", "(nothing)"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			before := strings.Join(want[max(0, i-3):min(i, len(want))], "\n    ")
			t.Errorf("line %d differs, after\n    %s\n  sluice: %s\n  etcd:   %s", i+1, before, g, w)
			return
		}
	}
}

// open connects and empties the store: no key, no lease; the revision then is the run's base.
func (r *Run) open() {
	whole, end := context.WithTimeout(context.Background(), scenarioTimeout)
	r.Ctx = whole
	r.closes = append(r.closes, end)
	r.Normal = &harness.Normal{Leases: map[int64]string{}}
	r.Conn = r.Dial()
	r.KV, r.Lease = pb.NewKVClient(r.Conn), pb.NewLeaseClient(r.Conn)
	r.Watch, r.Maint = pb.NewWatchClient(r.Conn), pb.NewMaintenanceClient(r.Conn)
	r.Cluster = pb.NewClusterClient(r.Conn)
	ctx, cancel := r.Timeout()
	defer cancel()
	leases, err := r.Lease.LeaseLeases(ctx, &pb.LeaseLeasesRequest{})
	r.Must(err)
	for _, l := range leases.Leases {
		_, err := r.Lease.LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: l.ID})
		r.Must(err)
	}
	wiped, err := r.KV.DeleteRange(ctx, &pb.DeleteRangeRequest{Key: []byte{0}, RangeEnd: []byte{0}})
	r.Must(err)
	r.Normal.Base = wiped.Header.Revision
}

func (r *Run) close() {
	for i := len(r.closes) - 1; i >= 0; i-- {
		r.closes[i]()
	}
}

// Dial opens one more connection with grpc-go's own defaults; it closes with the run.
func (r *Run) Dial(options ...grpc.DialOption) *grpc.ClientConn {
	options = append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20), grpc.MaxCallSendMsgSize(64<<20)),
	}, options...)
	conn, err := grpc.NewClient(r.Server.Address, options...)
	r.Must(err)
	r.closes = append(r.closes, func() { conn.Close() })
	return conn
}

// Client opens a clientv3; it closes with the run.
func (r *Run) Client() *clientv3.Client {
	c, err := clientv3.New(clientv3.Config{
		Endpoints: []string{r.Server.Address}, DialTimeout: callTimeout,
		Logger: zap.NewNop(), // its warnings are expected here: scenarios provoke errors
	})
	r.Must(err)
	r.closes = append(r.closes, func() { c.Close() })
	return c
}

// Timeout is a context for one step.
func (r *Run) Timeout() (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Ctx, callTimeout)
}

// Rev is the n-th revision after the scenario's start.
func (r *Run) Rev(n int64) int64 { return r.Normal.Base + n }

// Relative turns a server's revision into one counted from the scenario's start.
func (r *Run) Relative(revision int64) int64 { return revision - r.Normal.Base }

// Note adds a line to the transcript.
func (r *Run) Note(format string, args ...any) {
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

// Record adds what was asked and what came.
func (r *Run) Record(what string, request, response proto.Message, err error) {
	r.Note("%s%s -> %s", what, r.Normal.Text(request), r.Normal.Outcome(response, err))
}

// Must ends the scenario when err is set: used where a scenario cannot go on.
func (r *Run) Must(err error) {
	if err != nil {
		fail(err.Error())
	}
}

// Fail ends the scenario on this server and fails the test.
func (r *Run) Fail(format string, args ...any) {
	fail(fmt.Sprintf(format, args...))
}

func fail(text string) {
	_, file, line, _ := runtime.Caller(2) // who called Must, Check or Fail
	panic(failure(fmt.Sprintf("%s:%d: %s", file[strings.LastIndex(file, "/")+1:], line, text)))
}

// Check fails the scenario unless ok: for what must hold on each server by itself.
func (r *Run) Check(ok bool, format string, args ...any) {
	if !ok {
		fail(fmt.Sprintf(format, args...))
	}
}

type failure string

func (r *Run) recoverFailure() {
	switch f := recover().(type) {
	case nil:
	case failure:
		r.failed = string(f)
	default:
		panic(f)
	}
}
