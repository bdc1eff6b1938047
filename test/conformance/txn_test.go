package conformance

import (
	"fmt"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// compareOf is one Compare; the operand lands in the oneof arm that the target calls for.
func compareOf(key, end string, target pb.Compare_CompareTarget, result pb.Compare_CompareResult,
	number int64, value string) *pb.Compare {
	c := &pb.Compare{Key: []byte(key), RangeEnd: []byte(end), Target: target, Result: result}
	switch target {
	case pb.Compare_VERSION:
		c.TargetUnion = &pb.Compare_Version{Version: number}
	case pb.Compare_CREATE:
		c.TargetUnion = &pb.Compare_CreateRevision{CreateRevision: number}
	case pb.Compare_MOD:
		c.TargetUnion = &pb.Compare_ModRevision{ModRevision: number}
	case pb.Compare_VALUE:
		c.TargetUnion = &pb.Compare_Value{Value: []byte(value)}
	case pb.Compare_LEASE:
		c.TargetUnion = &pb.Compare_Lease{Lease: number}
	}
	return c
}

// eachCompare visits every target with every result.
func eachCompare(visit func(pb.Compare_CompareTarget, pb.Compare_CompareResult)) {
	for target := int32(0); target < 5; target++ {
		for result := int32(0); result < 4; result++ {
			visit(pb.Compare_CompareTarget(target), pb.Compare_CompareResult(result))
		}
	}
}

// operandFor is a small number near the target's real value, so that all three orders occur.
func operandFor(r *Run, target pb.Compare_CompareTarget, n int64) int64 {
	if target == pb.Compare_CREATE || target == pb.Compare_MOD {
		return r.Rev(n)
	}
	return n
}

func TestTxnCompare(t *testing.T) {
	decide := func(r *Run, c ...*pb.Compare) {
		r.Txn(&pb.TxnRequest{Compare: c})
	}
	compare(t,
		scenario{"every target and result on one key", func(r *Run) {
			r.Grant(2, 1000)
			r.Put("k", "v0")
			r.PutRequest(&pb.PutRequest{Key: []byte("k"), Value: []byte("v1"), Lease: 2})
			eachCompare(func(target pb.Compare_CompareTarget, result pb.Compare_CompareResult) {
				for n := int64(0); n < 4; n++ {
					decide(r, compareOf("k", "", target, result, operandFor(r, target, n), fmt.Sprint("v", n)))
				}
			})
		}},
		scenario{"every target and result on a missing key", func(r *Run) {
			eachCompare(func(target pb.Compare_CompareTarget, result pb.Compare_CompareResult) {
				for n := int64(-1); n < 2; n++ {
					decide(r, compareOf("missing", "", target, result, n, ""))
				}
			})
		}},
		scenario{"every target and result over ranges", func(r *Run) {
			r.Put("a", "v1")
			r.Put("b", "v2")
			r.Put("b", "v2")
			r.Put("c", "v3")
			for _, interval := range [][2]string{{"a", "c"}, {"b", "\x00"}, {"x", "z"}, {"c", "a"}, {"\x00", "\x00"}} {
				eachCompare(func(target pb.Compare_CompareTarget, result pb.Compare_CompareResult) {
					for n := int64(0); n < 4; n++ {
						decide(r, compareOf(interval[0], interval[1], target, result,
							operandFor(r, target, n), fmt.Sprint("v", n)))
					}
				})
			}
		}},
		scenario{"several compares are a conjunction", func(r *Run) {
			r.Put("a", "1")
			yes := compareOf("a", "", pb.Compare_VALUE, pb.Compare_EQUAL, 0, "1")
			no := compareOf("a", "", pb.Compare_VALUE, pb.Compare_EQUAL, 0, "2")
			decide(r, yes, yes)
			decide(r, yes, no)
			decide(r, no, no)
		}},
		scenario{"odd compares", func(r *Run) {
			r.Put("a", "1")
			decide(r, &pb.Compare{})
			decide(r, &pb.Compare{Key: []byte("a")})
			decide(r, &pb.Compare{Key: []byte("a"), Target: pb.Compare_VALUE})
			decide(r, &pb.Compare{Key: []byte("a"), Target: pb.Compare_VALUE,
				TargetUnion: &pb.Compare_Version{Version: 1}})
			decide(r, &pb.Compare{Key: []byte("a"), Target: pb.Compare_VERSION,
				TargetUnion: &pb.Compare_ModRevision{ModRevision: r.Rev(1)}})
			decide(r, &pb.Compare{Key: []byte("a"), Target: 9})
			decide(r, &pb.Compare{Key: []byte("a"), Result: 9,
				TargetUnion: &pb.Compare_Version{Version: 1}})
		}},
	)
}

func TestTxnBranches(t *testing.T) {
	found := func(key string) *pb.Compare {
		return compareOf(key, "", pb.Compare_VERSION, pb.Compare_GREATER, 0, "")
	}
	compare(t,
		scenario{"empty", func(r *Run) { r.Txn(&pb.TxnRequest{}) }},
		scenario{"both branches", func(r *Run) {
			q := &pb.TxnRequest{
				Compare: []*pb.Compare{found("k")},
				Success: []*pb.RequestOp{opGet("k"), opPut("k", "again"), opGet("k")},
				Failure: []*pb.RequestOp{opGet("k"), opPut("k", "first"), opGet("k")},
			}
			r.Txn(q)
			r.Txn(q)
			r.All()
		}},
		scenario{"reads see the writes before them", func(r *Run) {
			r.Put("a", "0")
			r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{
				opGet("a"), opPut("a", "1"), opGet("a"), opPut("b", "1"), opGet("b"), opDelete("c", "d"),
				opRange(&pb.RangeRequest{Key: []byte("a"), RangeEnd: []byte("z")}),
				opRange(&pb.RangeRequest{Key: []byte("a"), RangeEnd: []byte("z"), CountOnly: true}),
			}})
			r.All()
		}},
		scenario{"read at an old revision inside a txn", func(r *Run) {
			r.Put("a", "0")
			r.Put("a", "1")
			r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{
				opPut("b", "1"), opRange(&pb.RangeRequest{Key: []byte("a"), Revision: r.Rev(1)}),
				opRange(&pb.RangeRequest{Key: []byte("b"), Revision: r.Rev(2)}),
			}})
			r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{
				opPut("b", "1"), opRange(&pb.RangeRequest{Key: []byte("b"), Revision: r.Rev(4)}),
			}})
		}},
		scenario{"one revision for many writes", func(r *Run) {
			r.Put("old", "1")
			r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{
				opPut("a", "1"), opPut("b", "2"), opDelete("old", ""), opPut("c", "3"),
			}})
			r.All()
		}},
		scenario{"a txn that only reads or deletes nothing", func(r *Run) {
			r.Put("a", "1")
			r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{opGet("a"), opGet("b")}})
			r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{opDelete("nothing", "")}})
			r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{opDelete("nothing", ""), opPut("a", "2")}})
			r.All()
		}},
		scenario{"deletes that overlap", func(r *Run) {
			for _, k := range []string{"a", "b", "c"} {
				r.Put(k, k)
			}
			r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{opDelete("a", "c"), opDelete("b", "d")}})
			r.All()
		}},
		scenario{"put options inside", func(r *Run) {
			r.Grant(9, 1000)
			r.Put("k", "v")
			key := []byte("k")
			r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{
				opPutRequest(&pb.PutRequest{Key: key, IgnoreValue: true, Lease: 9, PrevKv: true}), opGet("k"),
			}})
			r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{
				opPutRequest(&pb.PutRequest{Key: key, Value: []byte("w"), IgnoreLease: true}), opGet("k"),
			}})
			r.All()
		}},
		scenario{"sorted and limited reads inside", func(r *Run) {
			fillRange(r)
			r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{
				opPut("cc", "v"),
				opRange(&pb.RangeRequest{Key: []byte("a"), RangeEnd: []byte("e"), Limit: 2}),
				opRange(&pb.RangeRequest{Key: []byte("a"), RangeEnd: []byte("e"), Limit: 3,
					SortOrder: pb.RangeRequest_DESCEND, SortTarget: pb.RangeRequest_MOD}),
				opRange(&pb.RangeRequest{Key: []byte("a"), RangeEnd: []byte("e"), KeysOnly: true,
					MinModRevision: r.Rev(5)}),
			}})
		}},
	)
}

func TestTxnNested(t *testing.T) {
	isOne := func(key string) []*pb.Compare {
		return []*pb.Compare{compareOf(key, "", pb.Compare_VALUE, pb.Compare_EQUAL, 0, "1")}
	}
	inner := func(key string) *pb.RequestOp {
		return opTxn(&pb.TxnRequest{
			Compare: isOne(key),
			Success: []*pb.RequestOp{opPut("yes-"+key, "y"), opGet("yes-" + key)},
			Failure: []*pb.RequestOp{opPut("no-"+key, "n"), opDelete(key, "")},
		})
	}
	compare(t,
		scenario{"two levels", func(r *Run) {
			r.Put("a", "1")
			r.Put("b", "2")
			r.Txn(&pb.TxnRequest{Compare: isOne("a"), Success: []*pb.RequestOp{inner("a"), inner("b")}})
			r.All()
		}},
		scenario{"compares are decided before any write", func(r *Run) {
			r.Put("a", "0")
			r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{opPut("a", "1"), inner("a")}})
			r.All()
		}},
		scenario{"reads only, nested", func(r *Run) {
			r.Put("a", "1")
			r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{
				opTxn(&pb.TxnRequest{Compare: isOne("a"), Success: []*pb.RequestOp{opGet("a")}}), opGet("a"),
			}})
		}},
		scenario{"deep", func(r *Run) {
			r.Put("a", "1")
			op := opPut("deep", "d")
			for range 20 {
				op = opTxn(&pb.TxnRequest{Compare: isOne("a"), Success: []*pb.RequestOp{op}})
			}
			r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{op}})
			r.All()
		}},
		scenario{"same key in then and else of one nested txn", func(r *Run) {
			r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{opTxn(&pb.TxnRequest{
				Compare: isOne("a"),
				Success: []*pb.RequestOp{opPut("a", "2")},
				Failure: []*pb.RequestOp{opPut("a", "3")},
			})}})
			r.All()
		}},
	)
}

func TestTxnErrors(t *testing.T) {
	puts := func(n int, prefix string) (ops []*pb.RequestOp) {
		for i := range n {
			ops = append(ops, opPut(fmt.Sprint(prefix, i), "v"))
		}
		return ops
	}
	success := func(ops ...*pb.RequestOp) func(r *Run) {
		return func(r *Run) {
			r.Put("a", "0")
			r.Txn(&pb.TxnRequest{Success: ops})
			r.Txn(&pb.TxnRequest{Failure: ops})
			r.All()
		}
	}
	missing := []byte("missing")
	compare(t,
		scenario{"128 operations", success(puts(128, "k")...)},
		scenario{"129 operations", success(puts(129, "k")...)},
		scenario{"129 compares", func(r *Run) {
			q := &pb.TxnRequest{}
			for range 129 {
				q.Compare = append(q.Compare, compareOf("a", "", pb.Compare_MOD, pb.Compare_EQUAL, 0, ""))
			}
			r.Txn(q)
		}},
		scenario{"128 over two levels", success(append(puts(1, "o"), opTxn(&pb.TxnRequest{Success: puts(126, "k")}))...)},
		scenario{"129 over two levels", success(append(puts(1, "o"), opTxn(&pb.TxnRequest{Success: puts(127, "k")}))...)},
		scenario{"same put twice", success(opPut("b", "1"), opPut("b", "2"))},
		scenario{"put in a deleted range", success(opDelete("a", "c"), opPut("b", "1"))},
		scenario{"put before the delete", success(opPut("b", "1"), opDelete("a", "c"))},
		scenario{"put and deleted key", success(opPut("b", "1"), opDelete("b", ""))},
		scenario{"put under a from-key delete", success(opPut("b", "1"), opDelete("a", "\x00"))},
		scenario{"put twice, once nested", success(opPut("b", "1"),
			opTxn(&pb.TxnRequest{Success: []*pb.RequestOp{opPut("b", "2")}}))},
		scenario{"deleted nested, put outside", success(opPut("b", "1"),
			opTxn(&pb.TxnRequest{Failure: []*pb.RequestOp{opDelete("a", "c")}}))},
		scenario{"put in two nested", success(
			opTxn(&pb.TxnRequest{Success: []*pb.RequestOp{opPut("b", "2")}}),
			opTxn(&pb.TxnRequest{Failure: []*pb.RequestOp{opPut("b", "2")}}))},
		scenario{"empty operation", success(&pb.RequestOp{})},
		scenario{"empty range", success(opRange(&pb.RangeRequest{}))},
		scenario{"empty put", success(opPutRequest(&pb.PutRequest{}))},
		scenario{"empty delete", success(opDelete("", ""))},
		scenario{"empty nested", success(opTxn(&pb.TxnRequest{}))},
		scenario{"error inside nested", success(opTxn(&pb.TxnRequest{Success: []*pb.RequestOp{opPut("", "")}}))},
		scenario{"compare without key inside nested", success(opTxn(&pb.TxnRequest{Compare: []*pb.Compare{{}}}))},
		scenario{"sort option", success(opRange(&pb.RangeRequest{Key: missing, SortOrder: 9}))},
		scenario{"unknown lease", success(opPut("b", "1"), opPutRequest(&pb.PutRequest{Key: missing, Lease: 4711}))},
		scenario{"ignore_value on a missing key", success(opPut("b", "1"),
			opPutRequest(&pb.PutRequest{Key: missing, IgnoreValue: true}))},
		scenario{"ignore_lease on a missing key", success(opPut("b", "1"),
			opPutRequest(&pb.PutRequest{Key: missing, IgnoreLease: true}))},
		scenario{"ignore_value with a value", success(opPutRequest(
			&pb.PutRequest{Key: missing, Value: missing, IgnoreValue: true}))},
		scenario{"ignore_lease with a lease", success(opPutRequest(
			&pb.PutRequest{Key: missing, Lease: 5, IgnoreLease: true}))},
		scenario{"ignore_value on a key the txn puts", success(
			opTxn(&pb.TxnRequest{Success: []*pb.RequestOp{opPut("new", "1")}}),
			opPutRequest(&pb.PutRequest{Key: []byte("new2"), IgnoreValue: true}))},
		scenario{"bad operation in the branch not taken", func(r *Run) {
			r.Txn(&pb.TxnRequest{
				Success: []*pb.RequestOp{opPut("ok", "1")},
				Failure: []*pb.RequestOp{opPutRequest(&pb.PutRequest{Key: missing, Lease: 4711})},
			})
			r.Txn(&pb.TxnRequest{
				Success: []*pb.RequestOp{opPut("ok", "1")},
				Failure: []*pb.RequestOp{opPut("", "1")},
			})
			r.All()
		}},
	)
}
