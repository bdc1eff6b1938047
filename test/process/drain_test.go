package process

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/status"

	"sluice.test/harness"
)

const (
	putters      = 64
	loadDuration = 300 * time.Millisecond
)

// What the clients of a server saw when it was told to stop.
type drain struct {
	acked  []string // keys whose put was answered
	failed []string // keys whose put failed
	watch  string   // how the watch stream ended
	lease  string   // how the keep-alive stream ended
	errors map[string]int
}

func describe(err error) string {
	s := status.Convert(err)
	return fmt.Sprintf("%v: %s", s.Code(), s.Message())
}

// stopUnderLoad sends SIGTERM while puts are in flight and two streams are open.
func stopUnderLoad(t *testing.T, s *harness.Server) *drain {
	t.Helper()
	d := &drain{errors: map[string]int{}}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	// Streams on a connection of their own: what ends them is not the puts' connection.
	conn := dial(t, s)
	watch, err := pb.NewWatchClient(conn).Watch(ctx)
	must(t, err)
	must(t, watch.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{
		CreateRequest: &pb.WatchCreateRequest{Key: []byte("unrelated")}}}))
	_, err = watch.Recv()
	must(t, err)
	lessor := pb.NewLeaseClient(conn)
	grant, err := lessor.LeaseGrant(ctx, &pb.LeaseGrantRequest{TTL: 60})
	must(t, err)
	keepAlive, err := lessor.LeaseKeepAlive(ctx)
	must(t, err)
	must(t, keepAlive.Send(&pb.LeaseKeepAliveRequest{ID: grant.ID}))
	_, err = keepAlive.Recv()
	must(t, err)

	var mutex sync.Mutex
	var group sync.WaitGroup
	for p := range putters {
		kv := pb.NewKVClient(dial(t, s))
		group.Add(1)
		go func() {
			defer group.Done()
			for n := 0; ; n++ {
				key := fmt.Sprintf("put/%d/%d", p, n)
				_, err := kv.Put(ctx, &pb.PutRequest{Key: []byte(key)})
				mutex.Lock()
				if err != nil {
					d.failed = append(d.failed, key)
					d.errors[status.Code(err).String()]++
					mutex.Unlock()
					return
				}
				d.acked = append(d.acked, key)
				mutex.Unlock()
			}
		}()
	}
	answered := func() int {
		mutex.Lock()
		defer mutex.Unlock()
		return len(d.acked)
	}
	for answered() == 0 && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(loadDuration)
	must(t, syscall.Kill(s.Pid, syscall.SIGTERM))
	_, err = watch.Recv()
	d.watch = describe(err)
	_, err = keepAlive.Recv()
	d.lease = describe(err)
	group.Wait()
	return d
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestDrain: at SIGTERM what was taken is finished and answered, what was not taken fails as
// UNAVAILABLE and has not happened, and streams end with the status that etcd gives.
func TestDrain(t *testing.T) {
	harness.Guard(t)
	seen := map[string]*drain{}
	for _, binary := range []harness.Binary{harness.Subject(), harness.Reference()} {
		s := start(t, binary, harness.Options{MayEnd: true}) // it is told to, past the harness
		d := stopUnderLoad(t, s)
		seen[binary.Label] = d
		t.Logf("%s: %d puts answered, the rest: %v; watch: %s; keep-alive: %s; %s", binary.Label,
			len(d.acked), d.errors, d.watch, d.lease, exitOf(t, s))
		if len(d.acked) == 0 || len(d.failed) != putters {
			t.Fatalf("%s: %d puts answered, %d failed", binary.Label, len(d.acked), len(d.failed))
		}
		there := keys(t, start(t, binary, harness.Options{DataDir: s.DataDir}))
		for _, key := range d.acked {
			if !there[key] {
				t.Errorf("%s: %s was acknowledged and is gone", binary.Label, key)
			}
		}
		if binary.Label != "sluice" {
			continue
		}
		if exitOf(t, s) != "exit 0" {
			t.Errorf("it ended with %s; its log: %s", exitOf(t, s), s.LogTail(2000))
		}
		if d.errors["Unavailable"] != putters {
			t.Errorf("puts failed with %v", d.errors)
		}
		for _, key := range d.failed {
			if there[key] {
				t.Errorf("%s was refused, and is there", key)
			}
		}
	}
	sluice, etcd := seen["sluice"], seen["etcd"]
	if sluice.watch != etcd.watch || sluice.lease != etcd.lease {
		t.Errorf("streams end differently: watch %q and %q, keep-alive %q and %q",
			sluice.watch, etcd.watch, sluice.lease, etcd.lease)
	}
}
