package model

import (
	"bytes"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"
)

// stableSort is the largest number of pairs that Go's sort, which etcd uses, leaves in key order
// where they are equal in what they are sorted by. With more their order is a matter of its insides.
const stableSort = 12

// levelTies makes two answers that differ only in the order of ties equal, and in nothing else.
func levelTies(q, a proto.Message) {
	switch q := q.(type) {
	case *pb.RangeRequest:
		levelRange(q, a.(*pb.RangeResponse))
	case *pb.TxnRequest:
		levelTxn(q, a.(*pb.TxnResponse))
	}
}

func levelTxn(q *pb.TxnRequest, a *pb.TxnResponse) {
	taken := q.Failure
	if a.GetSucceeded() {
		taken = q.Success
	}
	for i, op := range a.GetResponses() {
		if i >= len(taken) {
			return // a difference that shows by itself
		}
		if r := op.GetResponseRange(); r != nil && taken[i].GetRequestRange() != nil {
			levelRange(taken[i].GetRequestRange(), r)
		}
		if t := op.GetResponseTxn(); t != nil && taken[i].GetRequestTxn() != nil {
			levelTxn(taken[i].GetRequestTxn(), t)
		}
	}
}

// levelRange puts each run of ties into key order. Of a run that the limit has cut, which of its
// pairs are left is open too: of those only what they are sorted by stays.
func levelRange(q *pb.RangeRequest, a *pb.RangeResponse) {
	if q.SortTarget == pb.RangeRequest_KEY || a == nil || sorted(q, a) <= stableSort {
		return
	}
	kvs := a.Kvs
	for start := 0; start < len(kvs); {
		end := start + 1
		for end < len(kvs) && tied(q.SortTarget, kvs[start], kvs[end]) {
			end++
		}
		slices.SortFunc(kvs[start:end], func(x, y *mvccpb.KeyValue) int {
			return bytes.Compare(x.Key, y.Key)
		})
		if end == len(kvs) && a.More {
			for i := range kvs[start:] {
				kvs[start+i] = onlySortedBy(q.SortTarget, kvs[start+i])
			}
		}
		start = end
	}
}

// sorted is how many pairs the server had to sort, at most: without an order and without filters it
// reads only one more than the limit.
func sorted(q *pb.RangeRequest, a *pb.RangeResponse) int64 {
	filters := q.MinModRevision | q.MaxModRevision | q.MinCreateRevision | q.MaxCreateRevision
	switch {
	case !a.More:
		return int64(len(a.Kvs))
	case q.SortOrder == pb.RangeRequest_NONE && filters == 0:
		return min(a.Count, q.Limit+1)
	default:
		return a.Count
	}
}

func tied(target pb.RangeRequest_SortTarget, x, y *mvccpb.KeyValue) bool {
	switch target {
	case pb.RangeRequest_VERSION:
		return x.Version == y.Version
	case pb.RangeRequest_CREATE:
		return x.CreateRevision == y.CreateRevision
	case pb.RangeRequest_MOD:
		return x.ModRevision == y.ModRevision
	default:
		return bytes.Equal(x.Value, y.Value) // all are tied if the request wanted no values
	}
}

func onlySortedBy(target pb.RangeRequest_SortTarget, kv *mvccpb.KeyValue) *mvccpb.KeyValue {
	switch target {
	case pb.RangeRequest_VERSION:
		return &mvccpb.KeyValue{Version: kv.Version}
	case pb.RangeRequest_CREATE:
		return &mvccpb.KeyValue{CreateRevision: kv.CreateRevision}
	case pb.RangeRequest_MOD:
		return &mvccpb.KeyValue{ModRevision: kv.ModRevision}
	default:
		return &mvccpb.KeyValue{Value: kv.Value}
	}
}
