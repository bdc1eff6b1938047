package durability

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sluice.test/harness"
)

// A disk that hangs for stallFor: longer than the server's request timeout, which is etcd's five
// seconds and two election timeouts.
const (
	stallFor      = 11 * time.Second
	stallDetected = time.Second
)

// stalled puts until one does not come back, and returns the channel that its error will be on.
func stalled(t *testing.T, kv pb.KVClient) <-chan error {
	t.Helper()
	for i := range 2000 {
		done := make(chan error, 1)
		go func() {
			_, err := kv.Put(context.Background(), &pb.PutRequest{Key: []byte("late"), Value: fmt.Append(nil, i)})
			done <- err
		}()
		select {
		case err := <-done:
			if err != nil {
				t.Fatalf("put %d: %v", i, err)
			}
		case <-time.After(stallDetected):
			return done
		}
	}
	t.Fatal("the disk never hung")
	return nil
}

// TestRequestTimeout lets one fdatasync hang. Whatever needs the log is answered with etcd's
// timeout, by the server and not by the client; reads are served meanwhile, without the changes
// that nobody has been told of; and once the disk is back all of those are applied, as in etcd.
func TestRequestTimeout(t *testing.T) {
	if harness.Subject().IsEtcd() {
		t.Skip("the server under test is an etcd, which takes no SLUICE_FAULT")
	}
	t.Parallel()
	harness.Guard(t)
	s, err := harness.Start(harness.Subject(), harness.Options{
		Flags: []string{"--heartbeat-interval=10", "--election-timeout=50"},
		Env:   []string{fmt.Sprintf("SLUICE_FAULT=stall_after=300,stall_ms=%d", stallFor.Milliseconds())},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Remove)
	t.Cleanup(s.Kill)
	conn, err := dial(s)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	kv, lease, maint := pb.NewKVClient(conn), pb.NewLeaseClient(conn), pb.NewMaintenanceClient(conn)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	put := func(key string) (int64, error) {
		a, err := kv.Put(ctx, &pb.PutRequest{Key: []byte(key), Value: []byte("v")})
		return a.GetHeader().GetRevision(), err
	}
	for _, key := range []string{"deleted", "kept"} {
		if _, err := put(key); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := lease.LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: 7, TTL: 600}); err != nil {
		t.Fatal(err)
	}
	first := stalled(t, kv)

	calls := map[string]func() error{
		"put": func() error { _, err := put("put"); return err },
		"delete": func() error {
			_, err := kv.DeleteRange(ctx, &pb.DeleteRangeRequest{Key: []byte("deleted")})
			return err
		},
		"txn": func() error {
			op := &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte("txn")}}
			_, err := kv.Txn(ctx, &pb.TxnRequest{Success: []*pb.RequestOp{{Request: op}}})
			return err
		},
		"compact": func() error { _, err := kv.Compact(ctx, &pb.CompactionRequest{Revision: 2}); return err },
		"physical": func() error {
			_, err := kv.Compact(ctx, &pb.CompactionRequest{Revision: 3, Physical: true})
			return err
		},
		"grant":  func() error { _, err := lease.LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: 8, TTL: 600}); return err },
		"revoke": func() error { _, err := lease.LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: 7}); return err },
		"alarm":  func() error { _, err := maint.Alarm(ctx, &pb.AlarmRequest{}); return err },
	}
	got := map[string]error{}
	var mutex sync.Mutex
	var group sync.WaitGroup
	for name, call := range calls {
		group.Add(1)
		go func() {
			defer group.Done()
			err := call()
			mutex.Lock()
			defer mutex.Unlock()
			got[name] = err
		}()
	}
	group.Wait()
	got["first"] = <-first
	for name, err := range got {
		if !errors.Is(err, rpctypes.ErrGRPCTimeout) {
			t.Errorf("%s: %v, want %v", name, err, rpctypes.ErrGRPCTimeout)
		}
	}
	// The disk still hangs: what was told nobody is not to be seen, what was acknowledged is.
	whole := &pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}, KeysOnly: true}
	during, err := kv.Range(ctx, whole)
	if err != nil {
		t.Fatal(err)
	}
	if keys := keysOf(during); keys != "deleted kept late" {
		t.Errorf("while the disk hangs: %s", keys)
	}
	// It comes back, and with the next acknowledged put so is everything before it in the log.
	for {
		if _, err := put("after"); err == nil {
			break
		} else if status.Code(err) != codes.Unavailable {
			t.Fatal(err)
		}
	}
	after, err := kv.Range(ctx, whole)
	if err != nil {
		t.Fatal(err)
	}
	if keys := keysOf(after); keys != "after kept late put txn" {
		t.Errorf("after the disk came back: %s", keys)
	}
	leases, err := lease.LeaseLeases(ctx, &pb.LeaseLeasesRequest{})
	if err != nil || len(leases.Leases) != 1 || leases.Leases[0].ID != 8 {
		t.Errorf("leases %v, %v", leases.GetLeases(), err)
	}
	_, err = kv.Range(ctx, &pb.RangeRequest{Key: []byte("kept"), Revision: 2})
	if !errors.Is(rpctypes.Error(err), rpctypes.ErrCompacted) {
		t.Errorf("the compaction: %v", err)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}

func keysOf(a *pb.RangeResponse) string {
	text := ""
	for i, kv := range a.Kvs {
		if i > 0 {
			text += " "
		}
		text += string(kv.Key)
	}
	return text
}
