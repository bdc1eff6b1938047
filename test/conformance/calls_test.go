package conformance

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// call runs one unary method under the step's timeout and records request and outcome.
func call[Q, A proto.Message](r *Run, what string, q Q,
	method func(context.Context, Q, ...grpc.CallOption) (A, error)) A {
	ctx, cancel := r.Timeout()
	defer cancel()
	a, err := method(ctx, q)
	r.Record(what, q, a, err)
	return a
}

func (r *Run) Range(q *pb.RangeRequest) *pb.RangeResponse { return call(r, "Range", q, r.KV.Range) }

func (r *Run) Txn(q *pb.TxnRequest) *pb.TxnResponse { return call(r, "Txn", q, r.KV.Txn) }

func (r *Run) Compact(q *pb.CompactionRequest) { call(r, "Compact", q, r.KV.Compact) }

func (r *Run) DeleteRange(q *pb.DeleteRangeRequest) { call(r, "DeleteRange", q, r.KV.DeleteRange) }

func (r *Run) PutRequest(q *pb.PutRequest) *pb.PutResponse { return call(r, "Put", q, r.KV.Put) }

// Put stores one pair; the common case.
func (r *Run) Put(key, value string) *pb.PutResponse {
	return r.PutRequest(&pb.PutRequest{Key: []byte(key), Value: []byte(value)})
}

// Delete removes one key; the common case.
func (r *Run) Delete(key string) { r.DeleteRange(&pb.DeleteRangeRequest{Key: []byte(key)}) }

// Get reads one key; the common case.
func (r *Run) Get(key string) *pb.RangeResponse { return r.Range(&pb.RangeRequest{Key: []byte(key)}) }

// All reads the whole store.
func (r *Run) All() *pb.RangeResponse {
	return r.Range(&pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}})
}

func (r *Run) Grant(id, ttl int64) *pb.LeaseGrantResponse {
	return call(r, "LeaseGrant", &pb.LeaseGrantRequest{ID: id, TTL: ttl}, r.Lease.LeaseGrant)
}

func (r *Run) Revoke(id int64) {
	call(r, "LeaseRevoke", &pb.LeaseRevokeRequest{ID: id}, r.Lease.LeaseRevoke)
}

func opPut(key, value string) *pb.RequestOp {
	return opPutRequest(&pb.PutRequest{Key: []byte(key), Value: []byte(value)})
}

func opPutRequest(q *pb.PutRequest) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: q}}
}

func opRange(q *pb.RangeRequest) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: q}}
}

func opGet(key string) *pb.RequestOp { return opRange(&pb.RangeRequest{Key: []byte(key)}) }

func opDelete(key, end string) *pb.RequestOp {
	q := &pb.DeleteRangeRequest{Key: []byte(key), RangeEnd: []byte(end), PrevKv: true}
	return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: q}}
}

func opTxn(q *pb.TxnRequest) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: q}}
}
