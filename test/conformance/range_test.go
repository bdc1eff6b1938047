package conformance

import (
	"fmt"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// fillRange leaves keys whose orders by key, version, create, mod and value all differ.
func fillRange(r *Run) {
	for i, k := range []string{"c", "a", "e", "b", "d", "da", "db", "\x00", "\xff"} {
		r.Put(k, fmt.Sprint("v", 9-i))
	}
	for _, k := range []string{"d", "a", "d", "b", "a", "d"} {
		r.Put(k, "w"+k)
	}
	r.Delete("da")
}

// TestRangeShapes asks for every combination of interval, sort and cut on one store.
func TestRangeShapes(t *testing.T) {
	intervals := [][2]string{
		{"a", ""}, {"zz", ""}, {"a", "d"}, {"d", "e"}, {"b", "\x00"}, {"\x00", "\x00"}, {"d", "b"}, {"d", "d"},
	}
	compare(t,
		scenario{"intervals", func(r *Run) {
			fillRange(r)
			for _, i := range intervals {
				q := &pb.RangeRequest{Key: []byte(i[0]), RangeEnd: []byte(i[1])}
				r.Range(q)
				for limit := int64(-1); limit <= 3; limit++ {
					r.Range(&pb.RangeRequest{Key: q.Key, RangeEnd: q.RangeEnd, Limit: limit})
				}
				r.Range(&pb.RangeRequest{Key: q.Key, RangeEnd: q.RangeEnd, KeysOnly: true})
				r.Range(&pb.RangeRequest{Key: q.Key, RangeEnd: q.RangeEnd, CountOnly: true})
				r.Range(&pb.RangeRequest{Key: q.Key, RangeEnd: q.RangeEnd, CountOnly: true, Limit: 1})
				r.Range(&pb.RangeRequest{Key: q.Key, RangeEnd: q.RangeEnd, CountOnly: true, KeysOnly: true})
				r.Range(&pb.RangeRequest{Key: q.Key, RangeEnd: q.RangeEnd, Serializable: true})
			}
		}},
		scenario{"sorts", func(r *Run) {
			fillRange(r)
			for order := int32(0); order < 3; order++ {
				for target := int32(0); target < 5; target++ {
					for _, limit := range []int64{0, 1, 3, 100} {
						r.Range(&pb.RangeRequest{
							Key: []byte{0}, RangeEnd: []byte{0}, Limit: limit,
							SortOrder:  pb.RangeRequest_SortOrder(order),
							SortTarget: pb.RangeRequest_SortTarget(target),
						})
					}
				}
			}
		}},
		scenario{"sort with keys only or count only", func(r *Run) {
			fillRange(r)
			for target := int32(0); target < 5; target++ {
				q := &pb.RangeRequest{
					Key: []byte("a"), RangeEnd: []byte("e"), KeysOnly: true, Limit: 2,
					SortOrder:  pb.RangeRequest_DESCEND,
					SortTarget: pb.RangeRequest_SortTarget(target),
				}
				r.Range(q)
				q.KeysOnly, q.CountOnly = false, true
				r.Range(q)
			}
		}},
		scenario{"at a revision", func(r *Run) {
			fillRange(r)
			for n := int64(0); n <= 18; n++ {
				r.Range(&pb.RangeRequest{Key: []byte("a"), RangeEnd: []byte("e"), Revision: r.Rev(n)})
				r.Range(&pb.RangeRequest{Key: []byte("d"), Revision: r.Rev(n), CountOnly: true})
			}
			r.Range(&pb.RangeRequest{Key: []byte("a"), Revision: -5})
		}},
		scenario{"revision filters", func(r *Run) {
			fillRange(r)
			all := func() *pb.RangeRequest { return &pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}} }
			for n := int64(1); n <= 16; n += 3 {
				for _, limit := range []int64{0, 1, 2} {
					q := all()
					q.MinModRevision, q.Limit = r.Rev(n), limit
					r.Range(q)
					q = all()
					q.MaxModRevision, q.Limit = r.Rev(n), limit
					r.Range(q)
					q = all()
					q.MinCreateRevision, q.Limit = r.Rev(n), limit
					r.Range(q)
					q = all()
					q.MaxCreateRevision, q.Limit = r.Rev(n), limit
					r.Range(q)
				}
				q := all()
				q.MinModRevision, q.MaxModRevision = r.Rev(n), r.Rev(n+4)
				q.SortTarget, q.SortOrder = pb.RangeRequest_MOD, pb.RangeRequest_DESCEND
				r.Range(q)
				q.CountOnly = true
				r.Range(q)
				q.CountOnly, q.KeysOnly = false, true
				r.Range(q)
			}
		}},
		scenario{"errors", func(r *Run) {
			r.Put("a", "1")
			r.Range(&pb.RangeRequest{})
			r.Range(&pb.RangeRequest{RangeEnd: []byte("b")})
			r.Range(&pb.RangeRequest{Key: []byte("a"), Revision: r.Rev(100)})
			r.Range(&pb.RangeRequest{Key: []byte("a"), SortOrder: 7})
			r.Range(&pb.RangeRequest{Key: []byte("a"), SortTarget: 9})
			r.Range(&pb.RangeRequest{Key: []byte("a"), Revision: r.Rev(100), CountOnly: true})
			r.Range(&pb.RangeRequest{Key: []byte("a"), Revision: r.Rev(100), Serializable: true})
		}},
	)
}

// TestRangeLarge reads many keys and many bytes in one answer, and pages through them.
func TestRangeLarge(t *testing.T) {
	const keys = 3000
	fill := func(r *Run, size int) {
		for i := 0; i < keys; i += 100 {
			txn := &pb.TxnRequest{}
			for j := i; j < i+100; j++ {
				value := make([]byte, size)
				copy(value, fmt.Sprint(j))
				q := &pb.PutRequest{Key: fmt.Appendf(nil, "k%05d", j), Value: value}
				txn.Success = append(txn.Success, opPutRequest(q))
			}
			r.Txn(txn)
		}
	}
	compare(t,
		scenario{"many keys", func(r *Run) { fill(r, 10); r.All() }},
		scenario{"several megabytes", func(r *Run) { fill(r, 3000); r.All() }},
		scenario{"pages", func(r *Run) {
			fill(r, 10)
			key, seen := []byte{0}, 0
			for {
				page := r.Range(&pb.RangeRequest{Key: key, RangeEnd: []byte{0}, Limit: 700})
				seen += len(page.Kvs)
				if !page.More {
					break
				}
				key = append(page.Kvs[len(page.Kvs)-1].Key, 0)
			}
			r.Check(seen == keys, "pages gave %d of %d keys", seen, keys)
		}},
	)
}
