package harness

import (
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

func TestNormalTextHidesOnlyIdentity(t *testing.T) {
	response := func(cluster uint64, value string) *pb.RangeResponse {
		return &pb.RangeResponse{
			Header: &pb.ResponseHeader{ClusterId: cluster, Revision: 12, RaftTerm: cluster},
			Kvs:    []*mvccpb.KeyValue{{Key: []byte("k"), ModRevision: 11, Value: []byte(value), Lease: 77}},
		}
	}
	n := &Normal{Base: 10, Leases: map[int64]string{77: "L1"}}
	want := `{header:{cluster_id:some revision:+2 raft_term:some} ` +
		`kvs:[{key:"k" mod_revision:+1 value:"v" lease:L1}]}`
	if got := n.Text(response(5, "v")); got != want {
		t.Fatalf("got %s\nwant %s", got, want)
	}
	long := strings.Repeat("x", 1000)
	if n.Text(response(5, "v")) != n.Text(response(6, "v")) {
		t.Error("another cluster id must not show")
	}
	if n.Text(response(5, long+"a")) == n.Text(response(5, long+"b")) {
		t.Error("a difference at the end of a long value must show")
	}
	if n.Text(response(0, "v")) == n.Text(response(6, "v")) {
		t.Error("a missing cluster id must show")
	}
}
