package conformance

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

func TestFreshServer(t *testing.T) {
	compareFresh(t, nil, func(r *Run) {
		r.Normal.Base = 0 // absolute revisions: both servers are new
		r.All()
		r.Get("nothing")
		r.DeleteRange(&pb.DeleteRangeRequest{Key: []byte{0}, RangeEnd: []byte{0}})
		r.Txn(&pb.TxnRequest{})
		r.Put("a", "1")
		r.Put("a", "2")
		r.Get("a")
		r.Compact(&pb.CompactionRequest{Revision: 4})
		r.Compact(&pb.CompactionRequest{Revision: -1})
		r.Compact(&pb.CompactionRequest{Revision: 0})
		r.Compact(&pb.CompactionRequest{Revision: 2, Physical: true})
		r.Compact(&pb.CompactionRequest{Revision: 2})
		r.Range(&pb.RangeRequest{Key: []byte("a"), Revision: 1})
		r.Range(&pb.RangeRequest{Key: []byte("a"), Revision: 2})
		r.Range(&pb.RangeRequest{Key: []byte("a"), Revision: 3})
		r.Range(&pb.RangeRequest{Key: []byte("a"), Revision: 4})
	})
}

func TestPut(t *testing.T) {
	k, v := []byte("k"), []byte("v")
	compare(t,
		scenario{"new, overwritten, deleted, new again", func(r *Run) {
			r.Put("k", "1")
			r.Put("k", "2")
			r.Get("k")
			r.Delete("k")
			r.Get("k")
			r.Put("k", "3")
			r.Get("k")
		}},
		scenario{"empty value and binary key", func(r *Run) {
			r.Put("k", "")
			r.Get("k")
			r.Put("\x00", "zero")
			r.Put("\xff\xff", "last")
			r.Put("a\x00b", string([]byte{0, 1, 255}))
			r.All()
		}},
		scenario{"prev_kv", func(r *Run) {
			q := &pb.PutRequest{Key: k, Value: v, PrevKv: true}
			r.PutRequest(q)
			r.PutRequest(q)
			r.Delete("k")
			r.PutRequest(q)
		}},
		scenario{"ignore_value", func(r *Run) {
			r.PutRequest(&pb.PutRequest{Key: k, IgnoreValue: true})
			r.PutRequest(&pb.PutRequest{Key: k, Value: v, IgnoreValue: true})
			r.Put("k", "kept")
			r.PutRequest(&pb.PutRequest{Key: k, IgnoreValue: true, PrevKv: true})
			r.Get("k")
		}},
		scenario{"ignore_lease", func(r *Run) {
			r.Grant(7001, 1000)
			r.PutRequest(&pb.PutRequest{Key: k, Value: v, IgnoreLease: true})
			r.PutRequest(&pb.PutRequest{Key: k, Value: v, Lease: 7001, IgnoreLease: true})
			r.PutRequest(&pb.PutRequest{Key: k, Value: v, Lease: 7001})
			r.PutRequest(&pb.PutRequest{Key: k, Value: []byte("w"), IgnoreLease: true})
			r.Get("k")
			r.PutRequest(&pb.PutRequest{Key: k, IgnoreLease: true, IgnoreValue: true})
			r.Get("k")
		}},
		scenario{"errors", func(r *Run) {
			r.PutRequest(&pb.PutRequest{})
			r.PutRequest(&pb.PutRequest{Value: v})
			r.PutRequest(&pb.PutRequest{Key: k, Value: v, Lease: 424242})
			r.PutRequest(&pb.PutRequest{Key: k, Value: v, Lease: -1})
			r.All()
		}},
		scenario{"large value", func(r *Run) {
			r.PutRequest(&pb.PutRequest{Key: k, Value: bytes.Repeat([]byte("x"), 1<<20)})
			r.Get("k")
		}},
		scenario{"large key", func(r *Run) {
			r.Put(strings.Repeat("k", 100_000), "v")
			r.Range(&pb.RangeRequest{Key: []byte("k"), RangeEnd: []byte("l")})
		}},
	)
}

// TestRequestTooLarge steps over the limit of the request (1.5 MiB) and over that of the message.
func TestRequestTooLarge(t *testing.T) {
	const limit = 1572864
	put := func(size int) func(r *Run) {
		return func(r *Run) {
			q := &pb.PutRequest{Key: []byte("k"), Value: make([]byte, size)}
			r.PutRequest(q)
			r.Range(&pb.RangeRequest{Key: []byte("k"), KeysOnly: true})
		}
	}
	for _, size := range []int{limit - 512, limit + 1, limit + 512<<10 + 1, 8 << 20} {
		compare(t, scenario{fmt.Sprint("put of ", size), put(size)})
	}
	compare(t, scenario{"txn of many puts", func(r *Run) {
		txn := &pb.TxnRequest{}
		for i := range 100 {
			txn.Success = append(txn.Success, opPut(fmt.Sprint("k", i), strings.Repeat("x", 20_000)))
		}
		r.Txn(txn)
		r.Range(&pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}, CountOnly: true})
	}})
}

func TestDeleteRange(t *testing.T) {
	fill := func(r *Run) {
		for _, k := range []string{"a", "b", "ba", "bb", "c", "d"} {
			r.Put(k, "v"+k)
		}
	}
	remove := func(key, end string, prev bool) scenario {
		name := fmt.Sprintf("%q to %q prev %v", key, end, prev)
		return scenario{name, func(r *Run) {
			fill(r)
			q := &pb.DeleteRangeRequest{Key: []byte(key), RangeEnd: []byte(end), PrevKv: prev}
			r.DeleteRange(q)
			r.All()
			r.DeleteRange(q)
			r.All()
		}}
	}
	compare(t,
		remove("a", "", false), remove("a", "", true), remove("b", "c", true), remove("b", "c", false),
		remove("b", "\x00", true), remove("\x00", "\x00", true), remove("c", "b", true),
		remove("c", "c", true), remove("zz", "", true), remove("", "c", true), remove("", "", false),
		remove("", "\x00", false),
	)
}

// TestCompact checks what stays readable after a compaction and how compactions fail.
func TestCompact(t *testing.T) {
	compare(t,
		scenario{"reads around the compacted revision", func(r *Run) {
			r.Put("a", "1")
			r.Put("a", "2")
			r.Put("b", "1")
			r.Delete("b")
			r.Put("a", "3")
			r.Compact(&pb.CompactionRequest{Revision: r.Rev(4), Physical: true})
			for n := int64(1); n <= 6; n++ {
				r.Range(&pb.RangeRequest{Key: []byte("a"), RangeEnd: []byte("z"), Revision: r.Rev(n)})
			}
			r.All()
		}},
		scenario{"twice, backwards, into the future", func(r *Run) {
			r.Put("a", "1")
			r.Put("a", "2")
			r.Put("a", "3")
			r.Compact(&pb.CompactionRequest{Revision: r.Rev(2)})
			r.Compact(&pb.CompactionRequest{Revision: r.Rev(2)})
			r.Compact(&pb.CompactionRequest{Revision: r.Rev(1)})
			r.Compact(&pb.CompactionRequest{Revision: r.Rev(4)})
			r.Compact(&pb.CompactionRequest{Revision: r.Rev(3), Physical: true})
			r.Get("a")
		}},
		scenario{"of a deleted key and its rebirth", func(r *Run) {
			r.Put("a", "1")
			r.Delete("a")
			r.Put("a", "2")
			r.Delete("a")
			r.Compact(&pb.CompactionRequest{Revision: r.Rev(4), Physical: true})
			r.All()
			r.Put("a", "3")
			r.Get("a")
		}},
		scenario{"txn reading a compacted revision", func(r *Run) {
			r.Put("a", "1")
			r.Put("a", "2")
			r.Compact(&pb.CompactionRequest{Revision: r.Rev(2)})
			r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{
				opPut("b", "1"),
				opRange(&pb.RangeRequest{Key: []byte("a"), Revision: r.Rev(1)}),
			}})
			r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{
				opPut("b", "1"),
				opRange(&pb.RangeRequest{Key: []byte("a"), Revision: r.Rev(9)}),
			}})
			r.All()
		}},
	)
}
