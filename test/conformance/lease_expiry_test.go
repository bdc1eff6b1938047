package conformance

import (
	"fmt"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// TestKeepAliveAtExpiry renews many leases at about the moment at which they end: each is either
// alive again, or it is over, and then its key is gone for whoever asks after that answer.
func TestKeepAliveAtExpiry(t *testing.T) {
	const leases, ttl = 300, 2
	compare(t, scenario{"race", func(r *Run) {
		var group sync.WaitGroup
		faults := make(chan string, leases)
		for i := range leases {
			group.Go(func() {
				if err := renewAtExpiry(r, int64(1000+i), ttl, i); err != nil {
					faults <- err.Error()
				}
			})
		}
		group.Wait()
		close(faults)
		for fault := range faults {
			r.Fail("%s", fault)
		}
		r.Note("every lease that was over had no key")
	}})
}

// renewAtExpiry sends its message up to 5 ms before or 25 ms after the end, each turn a little later.
func renewAtExpiry(r *Run, id, ttl int64, turn int) error {
	ctx, cancel := r.Timeout()
	defer cancel()
	key := fmt.Appendf(nil, "leased-%d", id)
	if _, err := r.Lease.LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: id, TTL: ttl}); err != nil {
		return err
	}
	granted := time.Now()
	if _, err := r.KV.Put(ctx, &pb.PutRequest{Key: key, Lease: id}); err != nil {
		return err
	}
	rpc, err := r.Lease.LeaseKeepAlive(ctx)
	if err != nil {
		return err
	}
	late := time.Duration(turn%30-5) * time.Millisecond
	time.Sleep(time.Until(granted.Add(time.Duration(ttl)*time.Second + late)))
	if err := rpc.Send(&pb.LeaseKeepAliveRequest{ID: id}); err != nil {
		return err
	}
	a, err := rpc.Recv()
	if err != nil {
		return err
	}
	found, err := r.KV.Range(ctx, &pb.RangeRequest{Key: key, CountOnly: true})
	if err != nil {
		return err
	}
	if a.TTL == 0 && found.Count != 0 {
		return fmt.Errorf("lease %d is over but its key is there", id)
	}
	if a.TTL != 0 && (a.TTL != ttl || found.Count != 1) {
		return fmt.Errorf("lease %d lives for %d s, with %d keys", id, a.TTL, found.Count)
	}
	return rpc.CloseSend()
}
