package badinput

import (
	"context"
	crand "crypto/rand"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestDeletesPassWhenFull fills the store up to its quota: what stores something is refused then,
// and what deletes passes in every form, as that is the way out.
func TestDeletesPassWhenFull(t *testing.T) {
	_, conn := own(t, "--quota-backend-bytes=16777216")
	kv := pb.NewKVClient(conn)
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	full := func() bool {
		value := make([]byte, 256<<10)
		_, _ = crand.Read(value)
		_, err := kv.Put(ctx, &pb.PutRequest{Key: value[:8], Value: value})
		if err != nil && status.Code(err) != codes.ResourceExhausted {
			t.Fatal(err)
		}
		return err != nil
	}
	puts := 0
	for !full() {
		if puts++; puts > 1000 {
			t.Fatal("256 MiB fit into 16")
		}
	}
	a := []byte("a")
	refused := func(what string, err error) {
		t.Helper()
		if status.Code(err) != codes.ResourceExhausted ||
			status.Convert(err).Message() != "etcdserver: mvcc: database space exceeded" {
			t.Errorf("%s: %v", what, err)
		}
	}
	txn := func(op *pb.RequestOp) error {
		_, err := kv.Txn(ctx, &pb.TxnRequest{Success: []*pb.RequestOp{op}})
		return err
	}
	// The alarm is raised by now, or soon.
	_, err := kv.Put(ctx, &pb.PutRequest{Key: a})
	refused("put", err)
	refused("txn with a put", txn(putOp(&pb.PutRequest{Key: a})))
	if err := txn(deleteOp(&pb.DeleteRangeRequest{Key: a})); err != nil {
		t.Errorf("txn with a delete: %v", err)
	}
	if _, err := kv.DeleteRange(ctx, &pb.DeleteRangeRequest{Key: a}); err != nil {
		t.Errorf("delete: %v", err)
	}
	if _, err := kv.Compact(ctx, &pb.CompactionRequest{Revision: 2}); err != nil {
		t.Errorf("compact: %v", err)
	}
}
