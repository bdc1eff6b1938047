package conformance

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

func (r *Run) PutLeased(key string, lease int64) {
	r.PutRequest(&pb.PutRequest{Key: []byte(key), Value: []byte("v"), Lease: lease})
}

// TimeToLive records what is left of a lease; the seconds left are only checked to be sane.
func (r *Run) TimeToLive(id int64, keys bool) {
	ctx, cancel := r.Timeout()
	defer cancel()
	q := &pb.LeaseTimeToLiveRequest{ID: id, Keys: keys}
	a, err := r.Lease.LeaseTimeToLive(ctx, q)
	if a.GetTTL() > 0 {
		r.Check(a.TTL <= a.GrantedTTL, "%d s left of %d", a.TTL, a.GrantedTTL)
		a.TTL = 1
	}
	slices.SortFunc(a.GetKeys(), slices.Compare[[]byte])
	r.Record("TimeToLive", q, a, err)
}

// Leases records which leases live, in order of their ids.
func (r *Run) Leases() {
	ctx, cancel := r.Timeout()
	defer cancel()
	a, err := r.Lease.LeaseLeases(ctx, &pb.LeaseLeasesRequest{})
	slices.SortFunc(a.GetLeases(), func(x, y *pb.LeaseStatus) int { return int(x.ID - y.ID) })
	r.Record("Leases", &pb.LeaseLeasesRequest{}, a, err)
}

// KeepAlive sends the ids on one stream and records each answer.
func (r *Run) KeepAlive(ids ...int64) {
	ctx, cancel := r.Timeout()
	defer cancel()
	rpc, err := r.Lease.LeaseKeepAlive(ctx)
	r.Must(err)
	for _, id := range ids {
		q := &pb.LeaseKeepAliveRequest{ID: id}
		r.Must(rpc.Send(q))
		a, err := rpc.Recv()
		r.Record("KeepAlive", q, a, err)
	}
	r.Must(rpc.CloseSend())
	_, err = rpc.Recv()
	r.Note("after the last: %v", err)
}

func TestLease(t *testing.T) {
	compare(t,
		scenario{"grant", func(r *Run) {
			r.Grant(101, 1000)
			r.Grant(101, 1000)
			r.Grant(102, 9_000_000_000)
			r.Grant(103, 9_000_000_001)
			r.Grant(104, 0)
			r.Grant(105, -1)
			r.Grant(106, 1)
			r.Grant(-107, 1000)
			r.Leases()
		}},
		scenario{"the server names it", func(r *Run) {
			ctx, cancel := r.Timeout()
			defer cancel()
			a, err := r.Lease.LeaseGrant(ctx, &pb.LeaseGrantRequest{TTL: 500})
			r.Must(err)
			r.Check(a.ID > 0, "lease id %d", a.ID)
			r.Normal.Leases[a.ID] = "L1"
			r.Note("%s", r.Normal.Text(a))
			r.PutLeased("a", a.ID)
			r.Get("a")
			r.Leases()
			r.TimeToLive(a.ID, true)
		}},
		scenario{"revoke deletes the keys in one revision", func(r *Run) {
			r.Grant(111, 1000)
			for _, k := range []string{"c", "a", "b"} {
				r.PutLeased(k, 111)
			}
			r.Put("other", "v")
			r.Revoke(111)
			r.All()
			r.Revoke(111)
			r.Revoke(0)
			r.TimeToLive(111, true)
		}},
		scenario{"any number but 0 is a lease", func(r *Run) {
			for _, id := range []int64{-1, math.MaxInt64, math.MinInt64} {
				r.Grant(id, 1000)
				r.PutLeased("a", id)
				r.PutLeased("b", id)
				r.TimeToLive(id, true)
				r.KeepAlive(id)
				r.Revoke(id)
				r.All()
			}
		}},
		scenario{"revoke without keys", func(r *Run) {
			r.Grant(112, 1000)
			r.Revoke(112)
			r.All()
			r.Leases()
		}},
		scenario{"time to live", func(r *Run) {
			r.Grant(121, 1000)
			r.TimeToLive(121, false)
			r.TimeToLive(121, true)
			r.PutLeased("b", 121)
			r.PutLeased("a", 121)
			r.TimeToLive(121, true)
			r.TimeToLive(121, false)
			r.Delete("a")
			r.TimeToLive(121, true)
			r.TimeToLive(4444, true)
			r.TimeToLive(0, false)
		}},
		scenario{"a key moves from lease to lease, or leaves it", func(r *Run) {
			r.Grant(131, 1000)
			r.Grant(132, 1000)
			r.PutLeased("a", 131)
			r.PutLeased("b", 131)
			r.PutLeased("a", 132)
			r.Put("b", "free")
			r.TimeToLive(131, true)
			r.TimeToLive(132, true)
			r.Revoke(131)
			r.All()
			r.Revoke(132)
			r.All()
		}},
		scenario{"keep alive", func(r *Run) {
			r.Grant(141, 1000)
			r.Grant(142, 2000)
			r.KeepAlive(141, 142, 141, 4444, 0)
			r.KeepAlive()
			r.Revoke(141)
			r.KeepAlive(141, 142)
		}},
		scenario{"leases in a txn", func(r *Run) {
			r.Grant(151, 1000)
			leased := func(k string) *pb.RequestOp {
				return opPutRequest(&pb.PutRequest{Key: []byte(k), Value: []byte("v"), Lease: 151})
			}
			r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{leased("a"), leased("b"), opDelete("x", "")}})
			r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{opDelete("a", ""), leased("c")}})
			r.TimeToLive(151, true)
			r.Revoke(151)
			r.All()
		}},
		scenario{"many leases", func(r *Run) {
			for i := range int64(200) {
				r.Grant(1000+i, 100+i)
			}
			r.Leases()
			for i := range int64(100) {
				r.Revoke(1000 + 2*i)
			}
			r.Leases()
		}},
	)
}

// TestLeaseExpiry lets leases run out: their keys go in one revision each, and a watcher sees it.
//
// Waits for time, as a lease's end is a matter of the server's clock; asks until it has come. Until
// the lease is out of the list: its time is over a little before it and its keys go.
func TestLeaseExpiry(t *testing.T) {
	gone := func(r *Run, id int64) {
		for deadline := time.Now().Add(callTimeout); ; time.Sleep(50 * time.Millisecond) {
			a, err := r.Lease.LeaseLeases(r.Ctx, &pb.LeaseLeasesRequest{})
			r.Must(err)
			if !slices.ContainsFunc(a.Leases, func(l *pb.LeaseStatus) bool { return l.ID == id }) {
				return
			}
			r.Check(time.Now().Before(deadline), "lease %d never expired", id)
		}
	}
	compare(t,
		scenario{"keys, watch and revision", func(r *Run) {
			s := r.Stream()
			s.Create(&pb.WatchCreateRequest{Key: []byte("a"), RangeEnd: []byte("zz"), PrevKv: true})
			r.Grant(201, 3) // long enough for the puts, on a loaded machine too
			for _, k := range []string{"c", "a", "b"} {
				r.PutLeased(k, 201)
			}
			gone(r, 201)
			s.Settle()
			r.All()
			r.TimeToLive(201, true)
			r.Leases()
			r.PutLeased("a", 201)
			r.KeepAlive(201)
		}},
		scenario{"kept alive it stays", func(r *Run) {
			r.Grant(202, 4)
			r.Grant(203, 6) // when it is over the other one would be, too
			r.PutLeased("stays", 202)
			r.PutLeased("goes", 203)
			ctx, cancel := context.WithCancel(r.Ctx)
			defer cancel()
			rpc, err := r.Lease.LeaseKeepAlive(ctx)
			r.Must(err)
			done := make(chan struct{})
			go func() {
				defer close(done)
				gone(r, 203)
			}()
			for running := true; running; {
				r.Must(rpc.Send(&pb.LeaseKeepAliveRequest{ID: 202}))
				a, err := rpc.Recv()
				r.Must(err)
				r.Check(a.TTL == 4, "kept alive for %d s", a.TTL)
				select {
				case <-done:
					running = false
				case <-time.After(300 * time.Millisecond):
				}
			}
			r.All()
			r.TimeToLive(202, true)
		}},
		scenario{"many at once", func(r *Run) {
			for i := range int64(300) {
				_, err := r.Lease.LeaseGrant(r.Ctx, &pb.LeaseGrantRequest{ID: 3000 + i, TTL: 1})
				r.Must(err)
				q := &pb.PutRequest{Key: fmt.Appendf(nil, "k%d", i), Lease: 3000 + i}
				_, err = r.KV.Put(r.Ctx, q)
				r.Must(err)
			}
			for i := range int64(300) {
				gone(r, 3000+i)
			}
			r.All()
			r.Leases()
		}},
	)
}
