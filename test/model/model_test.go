// Package model drives the server under test and a real etcd in lockstep with the same random
// operations and compares every response field by field, and every watcher's events.
//
//	go test ./model -ops 200000            # bench length
//	go test ./model -seed 42 -ops 1234     # replay up to a mismatch
package model

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"sluice.test/harness"
)

var (
	seedFlag = flag.Uint64("seed", 0, "seed of the run; 0 picks one and prints it")
	opsFlag  = flag.Int("ops", 5000, "number of operations")
	restarts = flag.Int("restart-every", 2000, "operations between clean restarts of both servers; 0 = none")
)

const callTimeout = 20 * time.Second

// side is one of the two servers with its stubs and its watch streams.
type side struct {
	server  *harness.Server
	conn    *grpc.ClientConn
	kv      pb.KVClient
	lease   pb.LeaseClient
	watch   pb.WatchClient
	streams []*collector
}

func (s *side) connect(t *testing.T) {
	conn, err := grpc.NewClient(s.server.Address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		t.Fatal(err)
	}
	s.conn = conn
	s.kv, s.lease, s.watch = pb.NewKVClient(conn), pb.NewLeaseClient(conn), pb.NewWatchClient(conn)
}

// run is one model run: what both sides are known to hold.
type run struct {
	t     *testing.T
	seed  uint64
	op    int
	sides [2]*side // subject, reference
	gen   *generator

	watchers map[int64]int // live watcher -> its stream
	nextID   int64
}

func TestMain(m *testing.M) {
	flag.Parse()
	harness.Main(m.Run)
}

func TestModel(t *testing.T) {
	harness.Guard(t)
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())%1_000_000 + 1
	}
	fmt.Printf("model: seed %d, %d operations\n", seed, *opsFlag)
	r := &run{t: t, seed: seed, gen: newGenerator(seed), watchers: map[int64]int{}, nextID: 1}
	for i, b := range []harness.Binary{harness.Subject(), harness.Reference()} {
		s := &side{}
		r.sides[i] = s
		t.Cleanup(func() {
			if s.server != nil {
				s.server.Kill()
				s.server.Remove()
			}
		})
		server, err := harness.Start(b, harness.Options{})
		if err != nil {
			t.Fatal(err)
		}
		s.server = server
		s.connect(t)
	}
	r.openStreams()
	for r.op = 1; r.op <= *opsFlag; r.op++ {
		r.step()
		if *restarts > 0 && r.op%*restarts == 0 {
			r.restart()
		}
	}
	r.checkpoint()
	r.compareStore()
	fmt.Printf("model: %d operations agree, last revision %d\n", *opsFlag, r.gen.revision)
	r.gen.report()
}

// step runs the next random operation on both sides.
func (r *run) step() {
	switch q := r.gen.next().(type) {
	case *pb.RangeRequest:
		both(r, q, func(s *side) unary[*pb.RangeRequest, *pb.RangeResponse] { return s.kv.Range })
	case *pb.PutRequest:
		both(r, q, func(s *side) unary[*pb.PutRequest, *pb.PutResponse] { return s.kv.Put })
	case *pb.DeleteRangeRequest:
		both(r, q, func(s *side) unary[*pb.DeleteRangeRequest, *pb.DeleteRangeResponse] {
			return s.kv.DeleteRange
		})
	case *pb.TxnRequest:
		a := both(r, q, func(s *side) unary[*pb.TxnRequest, *pb.TxnResponse] { return s.kv.Txn })
		if a != nil && deletes(q) {
			r.gen.reborn[a.Header.Revision] = true
		}
	case *pb.CompactionRequest:
		// What a watcher still reads of the compacted past depends on its pace: let it catch up.
		r.checkpoint()
		a := both(r, q, func(s *side) unary[*pb.CompactionRequest, *pb.CompactionResponse] {
			return s.kv.Compact
		})
		if a != nil {
			r.gen.compacted = q.Revision
		}
	case *pb.LeaseGrantRequest:
		both(r, q, func(s *side) unary[*pb.LeaseGrantRequest, *pb.LeaseGrantResponse] {
			return s.lease.LeaseGrant
		})
	case *pb.LeaseRevokeRequest:
		both(r, q, func(s *side) unary[*pb.LeaseRevokeRequest, *pb.LeaseRevokeResponse] {
			return s.lease.LeaseRevoke
		})
	case *pb.LeaseTimeToLiveRequest:
		both(r, q, func(s *side) unary[*pb.LeaseTimeToLiveRequest, *pb.LeaseTimeToLiveResponse] {
			return s.lease.LeaseTimeToLive
		})
	case *pb.LeaseLeasesRequest:
		both(r, q, func(s *side) unary[*pb.LeaseLeasesRequest, *pb.LeaseLeasesResponse] {
			return s.lease.LeaseLeases
		})
	case *pb.LeaseKeepAliveRequest:
		both(r, q, func(s *side) unary[*pb.LeaseKeepAliveRequest, *pb.LeaseKeepAliveResponse] {
			return s.keepAlive
		})
	case *pb.WatchCreateRequest:
		r.createWatcher(q)
	case *pb.WatchCancelRequest:
		r.cancelWatcher()
	}
}

type unary[Q, A proto.Message] func(context.Context, Q, ...grpc.CallOption) (A, error)

type headed interface{ GetHeader() *pb.ResponseHeader }

// both sends one request to both sides at once and compares what comes back. It returns the
// reference's answer, nil if that was an error.
func both[Q proto.Message, A interface {
	comparable
	proto.Message
	headed
}](r *run, q Q, method func(*side) unary[Q, A]) A {
	var answers [2]A
	var failures [2]error
	r.onBoth(func(i int, s *side) {
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		defer cancel()
		answers[i], failures[i] = method(s)(ctx, q)
	})
	var none A
	normal := &harness.Normal{}
	var texts [2]string
	for i := range texts {
		if failures[i] != nil {
			answers[i] = none
		} else {
			unordered(answers[i])
			levelTies(q, answers[i])
		}
		texts[i] = normal.Outcome(answers[i], failures[i])
	}
	name := q.ProtoReflect().Descriptor().Name()
	if texts[0] != texts[1] {
		r.mismatch(fmt.Sprintf("%s %s", name, normal.Text(q)), texts[0], texts[1])
	}
	if answers[1] != none {
		r.gen.saw(answers[1].GetHeader().GetRevision())
	}
	r.gen.count(string(name), failures[1] == nil)
	return answers[1]
}

// unordered puts what has no promised order into one, and levels seconds that ran meanwhile.
func unordered(m proto.Message) {
	switch a := m.(type) {
	case *pb.LeaseLeasesResponse:
		slices.SortFunc(a.Leases, func(x, y *pb.LeaseStatus) int { return int(x.ID - y.ID) })
	case *pb.LeaseTimeToLiveResponse:
		slices.SortFunc(a.Keys, slices.Compare[[]byte])
		if a.TTL > 0 {
			a.TTL = 1
		}
	}
}

func (r *run) onBoth(do func(int, *side)) {
	var group sync.WaitGroup
	for i, s := range r.sides {
		group.Go(func() { do(i, s) })
	}
	group.Wait()
}

// mismatch ends the run with all that is needed to see it again.
func (r *run) mismatch(what, subject, reference string) {
	r.t.Helper()
	for _, s := range r.sides {
		if s.server.EndsSoon() {
			fmt.Printf("%s died; its log ends: %s\n", s.server.Binary.Label, s.server.LogTail(4000))
		}
	}
	r.t.Fatalf("seed %d, operation %d: %s\n  sluice: %s\n  etcd:   %s\n"+
		"replay: cd test && go test ./model -count=1 -seed %d -ops %d -restart-every %d",
		r.seed, r.op, what, subject, reference, r.seed, r.op, *restarts)
}

// deletes says whether the transaction may delete.
func deletes(q *pb.TxnRequest) bool {
	return slices.ContainsFunc(slices.Concat(q.Success, q.Failure), func(op *pb.RequestOp) bool {
		return op.GetRequestDeleteRange() != nil || op.GetRequestTxn() != nil && deletes(op.GetRequestTxn())
	})
}

// restart stops both servers cleanly and starts them on the same data; watches begin anew.
func (r *run) restart() {
	r.checkpoint()
	r.closeStreams()
	for _, s := range r.sides {
		s.conn.Close()
		old := s.server
		if err := old.Stop(); err != nil {
			r.t.Fatal(err)
		}
		again, err := harness.Start(old.Binary, harness.Options{DataDir: old.DataDir, Address: old.Address})
		if err != nil {
			r.t.Fatalf("seed %d, restart after operation %d: %v", r.seed, r.op, err)
		}
		s.server = again
		s.connect(r.t)
	}
	r.openStreams()
	r.compareStore()
}

// compareStore compares the whole store at its newest and at its oldest revision.
func (r *run) compareStore() {
	for _, revision := range []int64{0, r.gen.compacted} {
		q := &pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}, Revision: revision}
		both(r, q, func(s *side) unary[*pb.RangeRequest, *pb.RangeResponse] { return s.kv.Range })
	}
}

// keepAlive makes of the stream one call with one answer.
func (s *side) keepAlive(ctx context.Context, q *pb.LeaseKeepAliveRequest,
	_ ...grpc.CallOption) (*pb.LeaseKeepAliveResponse, error) {
	rpc, err := s.lease.LeaseKeepAlive(ctx)
	if err != nil {
		return nil, err
	}
	if err := rpc.Send(q); err != nil {
		return nil, err
	}
	a, err := rpc.Recv()
	_ = rpc.CloseSend()
	return a, err
}
