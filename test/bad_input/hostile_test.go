package badinput

import (
	"context"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"sluice.test/harness"
)

// own starts a server for one test, which may stop it and start it again on the same data.
func own(t *testing.T, flags ...string) (*harness.Server, *grpc.ClientConn) {
	t.Helper()
	shared := server
	s, err := harness.Start(harness.Subject(), harness.Options{Flags: flags})
	if err != nil {
		t.Fatal(err)
	}
	server = s
	t.Cleanup(func() {
		server.Kill()
		s.Remove()
		server = shared
	})
	return s, connect(t)
}

// putOp and deleteOp make operations of a transaction.
func putOp(q *pb.PutRequest) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: q}}
}

func deleteOp(q *pb.DeleteRangeRequest) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: q}}
}

// TestTxnDeletesWhatItsPutNeeds: a delete to the end of the keys conflicts with no put (as in etcd),
// so a put that keeps the old value can find its key deleted by its own transaction. (etcd 3.7.3
// panics here, and again at each start.)
func TestTxnDeletesWhatItsPutNeeds(t *testing.T) {
	if server.Binary.IsEtcd() {
		t.Skip("an etcd dies of it")
	}
	s, conn := own(t)
	kv := pb.NewKVClient(conn)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := kv.Put(ctx, &pb.PutRequest{Key: []byte("b"), Value: []byte("1")}); err != nil {
		t.Fatal(err)
	}
	toTheEnd := deleteOp(&pb.DeleteRangeRequest{Key: []byte("a"), RangeEnd: []byte{0}})
	for _, put := range []*pb.PutRequest{
		{Key: []byte("b"), IgnoreValue: true},
		{Key: []byte("b"), Value: []byte("2"), IgnoreLease: true},
	} {
		nested := &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{
			RequestTxn: &pb.TxnRequest{Success: []*pb.RequestOp{putOp(put)}}}}
		for _, last := range []*pb.RequestOp{putOp(put), nested} {
			_, err := kv.Txn(ctx, &pb.TxnRequest{Success: []*pb.RequestOp{toTheEnd, last}})
			if status.Code(err) != codes.InvalidArgument ||
				status.Convert(err).Message() != "etcdserver: key not found" {
				t.Errorf("%v: %v", put, err)
			}
		}
		// In the other order the put finds its key, which is then deleted.
		a, err := kv.Txn(ctx, &pb.TxnRequest{Success: []*pb.RequestOp{putOp(put), toTheEnd}})
		if err != nil || a.Responses[1].GetResponseDeleteRange().Deleted != 1 {
			t.Errorf("%v, then the delete: %v, %v", put, a, err)
		}
		if _, err := kv.Put(ctx, &pb.PutRequest{Key: []byte("b"), Value: []byte("1")}); err != nil {
			t.Fatal(err)
		}
	}
	s.Kill() // what is in the log must not stop the next start
	again, err := harness.Start(s.Binary, harness.Options{DataDir: s.DataDir, Address: s.Address})
	if err != nil {
		t.Fatal(err)
	}
	server = again
	serves(t)
}

// TestServerStreamCardinality sends two requests, and none, where there must be one.
func TestServerStreamCardinality(t *testing.T) {
	conn := connect(t)
	for _, requests := range []int{0, 2, 5} {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true},
			"/etcdserverpb.Maintenance/Snapshot")
		if err != nil {
			t.Fatal(err)
		}
		for range requests {
			_ = stream.SendMsg(&pb.SnapshotRequest{}) // the server may have ended it already
		}
		_ = stream.CloseSend()
		for err == nil {
			err = stream.RecvMsg(&pb.SnapshotResponse{})
		}
		if !server.Binary.IsEtcd() && status.Code(err) != codes.Internal {
			t.Errorf("%d requests: %v", requests, err)
		}
		serves(t)
	}
}

// endingLease opens a keep-alive stream that waits for the end of a lease whose time is over.
func endingLease(t *testing.T, ctx context.Context, conn *grpc.ClientConn) (grpc.ClientStream, *pb.LeaseKeepAliveRequest) {
	t.Helper()
	grant, err := pb.NewLeaseClient(conn).LeaseGrant(ctx, &pb.LeaseGrantRequest{TTL: 2})
	if err != nil {
		t.Fatal(err)
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true},
		"/etcdserverpb.Lease/LeaseKeepAlive", grpc.ForceCodec(rawCodec{}))
	if err != nil {
		t.Fatal(err)
	}
	return stream, &pb.LeaseKeepAliveRequest{ID: grant.ID}
}

// rawCodec sends bytes as they are and takes any answer.
type rawCodec struct{}

func (rawCodec) Name() string                  { return "proto" }
func (rawCodec) Marshal(v any) ([]byte, error) { return v.([]byte), nil }
func (rawCodec) Unmarshal([]byte, any) error   { return nil }

// TestKeepAliveBrokenBehindAnEndingLease: while the server waits for a lease's end to be applied,
// the same stream sends bytes that are no request.
func TestKeepAliveBrokenBehindAnEndingLease(t *testing.T) {
	conn := connect(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	garbage := []byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f}
	for round := range 4 {
		stream, request := endingLease(t, ctx, conn)
		bytes, err := proto.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		// Around the lease's last moment one of these meets it between its end and its revocation.
		end := time.Now().Add(2*time.Second + 10*time.Millisecond)
		time.Sleep(time.Until(end.Add(-100*time.Millisecond - time.Duration(round)*20*time.Millisecond)))
		for time.Now().Before(end.Add(100 * time.Millisecond)) {
			other, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true},
				"/etcdserverpb.Lease/LeaseKeepAlive", grpc.ForceCodec(rawCodec{}))
			if err != nil {
				t.Fatal(err)
			}
			_ = other.SendMsg(bytes)
			_ = other.SendMsg(garbage)
			time.Sleep(10 * time.Millisecond) // many more would be a flood of resets
		}
		_ = stream.CloseSend()
	}
	serves(t)
}
