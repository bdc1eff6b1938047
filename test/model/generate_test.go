package model

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"
)

// generator makes the operations: all kinds, on few keys so that they meet often, most of them
// valid. It depends on its seed and on the revisions that the servers agreed on, nothing else.
type generator struct {
	random    *rand.Rand
	revision  int64 // the newest that both servers answered
	compacted int64
	counts    map[string]int

	// Revisions of transactions that may have deleted a key and put it again. Compacted at exactly
	// such a revision etcd 3.7.3 loses the pair, and dies when it is read.
	reborn map[int64]bool

	// Whether the txn being made may delete, or else may put with ignore_value and ignore_lease.
	// Not both: etcd 3.7.3 dies when such a put meets a key that the same txn has deleted.
	deletes bool
}

const leases = 8 // lease ids 1..leases are in use; more are unknown

var keys = []string{
	"a", "a\x00", "aa", "ab", "b", "ba", "bb", "bbb", "c", "d", "da", "e", "f", "g",
	"\x00", "\x00\x00", "m", "n", "o", "\xff", "\xff\xff",
}

func newGenerator(seed uint64) *generator {
	return &generator{random: rand.New(rand.NewPCG(seed, 0)), counts: map[string]int{}, reborn: map[int64]bool{}}
}

func (g *generator) saw(revision int64) { g.revision = max(g.revision, revision) }

func (g *generator) count(name string, ok bool) {
	g.counts[fmt.Sprint(name, map[bool]string{true: "", false: " refused"}[ok])]++
}

// report prints how often each kind was answered and how often refused.
func (g *generator) report() {
	for _, name := range slices.Sorted(maps.Keys(g.counts)) {
		fmt.Printf("  %-28s %7d\n", name, g.counts[name])
	}
}

func (g *generator) chance(percent int) bool { return g.random.IntN(100) < percent }

func (g *generator) key() []byte {
	if g.chance(1) {
		return nil
	}
	return []byte(keys[g.random.IntN(len(keys))])
}

// end is a range_end: mostly none, else any key (also below the start), a prefix's end, or all.
func (g *generator) end(key []byte) []byte {
	switch n := g.random.IntN(10); {
	case n < 4:
		return nil
	case n < 7:
		return g.key()
	case n < 8 && len(key) > 0 && key[len(key)-1] < 0xff:
		end := append([]byte{}, key...)
		end[len(end)-1]++
		return end
	default:
		return []byte{0}
	}
}

// past is a revision: mostly a readable one, sometimes compacted, future or nonsense.
func (g *generator) past() int64 {
	switch n := g.random.IntN(20); {
	case n == 0:
		return g.compacted - 1
	case n == 1:
		return g.revision + 1 + g.random.Int64N(startAhead)
	case n == 2:
		return -g.random.Int64N(3)
	case n == 3:
		return g.compacted
	default:
		return g.revision - g.random.Int64N(max(1, min(60, g.revision-g.compacted)))
	}
}

func (g *generator) next() proto.Message {
	switch n := g.random.IntN(1000); {
	case n < 270:
		return g.put()
	case n < 520:
		return g.rangeRequest()
	case n < 600:
		return g.deleteRange()
	case n < 880:
		g.deletes = g.chance(60)
		q := g.txn(0)
		g.deletes = false
		return q
	case n < 886:
		return g.compaction()
	case n < 912:
		return &pb.LeaseGrantRequest{ID: 1 + g.random.Int64N(leases), TTL: 10_000 + g.random.Int64N(1000)}
	case n < 930:
		return &pb.LeaseRevokeRequest{ID: g.leaseID()}
	case n < 950:
		return &pb.LeaseTimeToLiveRequest{ID: g.leaseID(), Keys: g.chance(70)}
	case n < 955:
		return &pb.LeaseLeasesRequest{}
	case n < 970:
		return &pb.LeaseKeepAliveRequest{ID: g.leaseID()}
	case n < 990:
		return g.watch()
	default:
		return &pb.WatchCancelRequest{}
	}
}

// compaction chooses a revision to compact at.
func (g *generator) compaction() *pb.CompactionRequest {
	revision := g.past()
	for g.reborn[revision] {
		revision--
	}
	return &pb.CompactionRequest{Revision: revision, Physical: g.chance(50)}
}

func (g *generator) leaseID() int64 { return 1 + g.random.Int64N(leases+1) }

func (g *generator) value() []byte {
	if g.chance(3) {
		return make([]byte, g.random.IntN(20_000))
	}
	return fmt.Appendf(nil, "v%d", g.random.IntN(6))
}

func (g *generator) put() *pb.PutRequest {
	q := &pb.PutRequest{Key: g.key(), Value: g.value(), PrevKv: g.chance(40)}
	switch n := g.random.IntN(20); {
	case n < 4:
		q.Lease = g.leaseID()
	case g.deletes:
	case n == 4:
		q.IgnoreLease = true
	case n == 5:
		q.IgnoreValue, q.Value = true, nil
	case n == 6:
		q.IgnoreValue, q.IgnoreLease, q.Value = true, true, nil
	case n == 7 && g.chance(20):
		q.IgnoreValue = true
	case n == 8 && g.chance(20):
		q.IgnoreLease, q.Lease = true, g.leaseID()
	}
	return q
}

func (g *generator) rangeRequest() *pb.RangeRequest {
	q := &pb.RangeRequest{Key: g.key()}
	q.RangeEnd = g.end(q.Key)
	if g.chance(30) {
		q.Limit = g.random.Int64N(8) - 1
	}
	if g.chance(40) {
		q.Revision = g.past()
	}
	if g.chance(30) {
		q.SortOrder = pb.RangeRequest_SortOrder(g.random.IntN(3))
		q.SortTarget = pb.RangeRequest_SortTarget(g.random.IntN(5))
	}
	if g.chance(1) {
		q.SortOrder = 5
	}
	q.Serializable, q.KeysOnly, q.CountOnly = g.chance(20), g.chance(10), g.chance(10)
	if g.chance(15) {
		for _, bound := range []*int64{
			&q.MinModRevision, &q.MaxModRevision, &q.MinCreateRevision, &q.MaxCreateRevision,
		} {
			if g.chance(35) {
				*bound = g.past()
			}
		}
	}
	return q
}

func (g *generator) deleteRange() *pb.DeleteRangeRequest {
	q := &pb.DeleteRangeRequest{Key: g.key(), PrevKv: g.chance(50)}
	if g.chance(40) {
		q.RangeEnd = g.end(q.Key)
	}
	return q
}

// txn makes a transaction with up to four operations a branch and two levels below it.
func (g *generator) txn(depth int) *pb.TxnRequest {
	q := &pb.TxnRequest{}
	for range g.random.IntN(3) {
		q.Compare = append(q.Compare, g.compare())
	}
	for range g.random.IntN(5) {
		q.Success = append(q.Success, g.operation(depth))
	}
	for range g.random.IntN(4) {
		q.Failure = append(q.Failure, g.operation(depth))
	}
	return q
}

func (g *generator) operation(depth int) *pb.RequestOp {
	n := g.random.IntN(100)
	switch {
	case n < 40:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: g.put()}}
	case n < 70:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: g.rangeRequest()}}
	case g.deletes && (n < 84 || depth == 2):
		return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: g.deleteRange()}}
	case depth == 2:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: g.rangeRequest()}}
	case n == 99 && g.chance(10):
		return &pb.RequestOp{}
	default:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: g.txn(depth + 1)}}
	}
}

func (g *generator) compare() *pb.Compare {
	c := &pb.Compare{Key: g.key(), Result: pb.Compare_CompareResult(g.random.IntN(4))}
	c.Target = pb.Compare_CompareTarget(g.random.IntN(5))
	if g.chance(25) {
		c.RangeEnd = g.end(c.Key)
	}
	switch c.Target {
	case pb.Compare_VERSION:
		c.TargetUnion = &pb.Compare_Version{Version: g.random.Int64N(4)}
	case pb.Compare_CREATE:
		c.TargetUnion = &pb.Compare_CreateRevision{CreateRevision: g.past()}
	case pb.Compare_MOD:
		c.TargetUnion = &pb.Compare_ModRevision{ModRevision: g.past()}
	case pb.Compare_VALUE:
		c.TargetUnion = &pb.Compare_Value{Value: g.value()}
	case pb.Compare_LEASE:
		c.TargetUnion = &pb.Compare_Lease{Lease: g.random.Int64N(leases)}
	}
	return c
}

func (g *generator) watch() *pb.WatchCreateRequest {
	q := &pb.WatchCreateRequest{Key: g.key(), PrevKv: g.chance(50), Fragment: g.chance(20)}
	q.RangeEnd = g.end(q.Key)
	if g.chance(50) {
		q.StartRevision = g.past()
	}
	for f := range pb.WatchCreateRequest_FilterType(2) {
		if g.chance(10) {
			q.Filters = append(q.Filters, f)
		}
	}
	return q
}
