package conformance

import (
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// present keeps of a server's own figure only whether it is there at all.
func present(v bool) string {
	if v {
		return "set"
	}
	return "unset"
}

func TestMaintenance(t *testing.T) {
	compare(t,
		scenario{"status", func(r *Run) {
			r.Put("a", "1")
			ctx, cancel := r.Timeout()
			defer cancel()
			a, err := r.Maint.Status(ctx, &pb.StatusRequest{})
			r.Must(err)
			r.Note("header %s", r.Normal.Text(a.Header))
			r.Check(a.Leader == a.Header.MemberId, "a single member leads itself: %x, %x", a.Leader, a.Header.MemberId)
			r.Check(a.RaftTerm == a.Header.RaftTerm, "terms %d and %d", a.RaftTerm, a.Header.RaftTerm)
			r.Check(a.RaftAppliedIndex <= a.RaftIndex, "applied %d of %d", a.RaftAppliedIndex, a.RaftIndex)
			r.Note("db size %s, in use %s, index %s, applied %s, quota %d",
				present(a.DbSize > 0), present(a.DbSizeInUse > 0), present(a.RaftIndex > 0),
				present(a.RaftAppliedIndex > 0), a.DbSizeQuota)
			r.Note("errors %q, learner %v", a.Errors, a.IsLearner)
			r.Check(strings.Count(a.Version, ".") == 2, "version %q", a.Version)
			r.Put("a", "2")
			b, err := r.Maint.Status(ctx, &pb.StatusRequest{})
			r.Must(err)
			r.Check(b.RaftIndex > a.RaftIndex, "a write moves the index: %d, %d", a.RaftIndex, b.RaftIndex)
		}},
		scenario{"hash", func(r *Run) {
			r.Put("a", "1")
			ctx, cancel := r.Timeout()
			defer cancel()
			a, err := r.Maint.Hash(ctx, &pb.HashRequest{})
			r.Must(err)
			r.Check(a.Hash != 0, "hash 0")
			a.Hash = 0
			r.Note("%s", r.Normal.Text(a))
		}},
		scenario{"hashkv", func(r *Run) {
			ctx, cancel := r.Timeout()
			defer cancel()
			hash := func(revision int64) uint32 {
				q := &pb.HashKVRequest{Revision: revision}
				a, err := r.Maint.HashKV(ctx, q)
				sum := a.GetHash()
				if a != nil {
					a.Hash = 0 // over each server's own records
				}
				r.Record("HashKV", q, a, err)
				return sum
			}
			r.Put("a", "1")
			r.Put("a", "2")
			first := hash(r.Rev(2))
			r.Put("b", "3")
			r.Check(first == hash(r.Rev(2)), "the hash at a revision changed by a later write")
			r.Check(first != hash(r.Rev(3)), "the hash did not change with the content")
			r.Check(hash(0) == hash(r.Rev(3)), "revision 0 is not the newest")
			hash(r.Rev(100))
			r.Compact(&pb.CompactionRequest{Revision: r.Rev(2), Physical: true})
			hash(r.Rev(1))
			hash(r.Rev(3))
		}},
		scenario{"alarms", func(r *Run) {
			alarm := func(action pb.AlarmRequest_AlarmAction, kind pb.AlarmType) {
				call(r, "Alarm", &pb.AlarmRequest{Action: action, Alarm: kind}, r.Maint.Alarm)
			}
			alarm(pb.AlarmRequest_GET, pb.AlarmType_NONE)
			alarm(pb.AlarmRequest_GET, pb.AlarmType_NOSPACE)
			alarm(pb.AlarmRequest_DEACTIVATE, pb.AlarmType_NOSPACE)
			alarm(pb.AlarmRequest_ACTIVATE, pb.AlarmType_NOSPACE)
			alarm(pb.AlarmRequest_GET, pb.AlarmType_NONE)
			r.Put("a", "1")
			r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{opPut("a", "1")}})
			r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{opGet("a")}})
			r.Grant(55, 100)
			r.Get("a")
			r.Delete("a")
			alarm(pb.AlarmRequest_DEACTIVATE, pb.AlarmType_NOSPACE)
			alarm(pb.AlarmRequest_GET, pb.AlarmType_NONE)
			r.Put("a", "1")
		}},
		scenario{"the alarm of corruption", func(r *Run) {
			alarm := func(action pb.AlarmRequest_AlarmAction, member uint64) {
				q := &pb.AlarmRequest{Action: action, MemberID: member, Alarm: pb.AlarmType_CORRUPT}
				call(r, "Alarm", q, r.Maint.Alarm)
			}
			r.Put("a", "1")
			r.Grant(56, 100)
			alarm(pb.AlarmRequest_ACTIVATE, 7)
			r.Put("a", "2")
			r.Delete("a")
			r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{opPut("a", "3")}})
			r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{opGet("a")}})
			r.Get("a")
			r.Grant(57, 100)
			r.Revoke(56)
			r.Compact(&pb.CompactionRequest{Revision: r.Rev(1)})
			alarm(pb.AlarmRequest_DEACTIVATE, 7)
			r.Put("a", "4")
			r.Revoke(56)
			r.All()
		}},
		scenario{"defragment", func(r *Run) {
			r.Put("a", "1")
			call(r, "Defragment", &pb.DefragmentRequest{}, r.Maint.Defragment)
			r.All()
		}},
		scenario{"member list", func(r *Run) {
			for _, linearizable := range []bool{true, false} {
				ctx, cancel := r.Timeout()
				defer cancel()
				a, err := r.Cluster.MemberList(ctx, &pb.MemberListRequest{Linearizable: linearizable})
				r.Must(err)
				r.Note("header %s", r.Normal.Text(a.Header))
				r.Check(len(a.Members) == 1, "%d members", len(a.Members))
				m := a.Members[0]
				r.Check(m.ID == a.Header.MemberId, "member %x answers as %x", m.ID, a.Header.MemberId)
				r.Check(len(m.ClientURLs) == 1 && m.ClientURLs[0] == "http://"+r.Server.Address, "%q", m.ClientURLs)
				r.Note("name %s, learner %v, %d peer urls", m.Name, m.IsLearner, len(m.PeerURLs))
			}
		}},
		scenario{"grpc health", func(r *Run) {
			health := grpc_health_v1.NewHealthClient(r.Conn)
			for _, service := range []string{"", "etcdserverpb.KV", "nothing"} {
				call(r, "Check", &grpc_health_v1.HealthCheckRequest{Service: service}, health.Check)
			}
			ctx, cancel := r.Timeout()
			defer cancel()
			watch, err := health.Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
			r.Must(err)
			a, err := watch.Recv()
			r.Record("Watch", nil, a, err)
		}},
	)
}

// TestSnapshot reads a snapshot to its end: the counts add up and the content ends in its SHA-256.
func TestSnapshot(t *testing.T) {
	compare(t, scenario{"stream", func(r *Run) {
		value := make([]byte, 100_000)
		rand.NewChaCha8([32]byte{}).Read(value) // not to be compressed away
		for range 5 {
			q := &pb.PutRequest{Key: []byte("a"), Value: value}
			_, err := r.KV.Put(r.Ctx, q)
			r.Must(err)
		}
		ctx, cancel := r.Timeout()
		defer cancel()
		rpc, err := r.Maint.Snapshot(ctx, &pb.SnapshotRequest{})
		r.Must(err)
		var content []byte
		remaining := int64(-1)
		for {
			a, err := rpc.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			r.Must(err)
			if remaining >= 0 && a.RemainingBytes > 0 {
				r.Check(remaining == int64(a.RemainingBytes)+int64(len(a.Blob)),
					"%d bytes were left, then %d came and %d are left", remaining, len(a.Blob), a.RemainingBytes)
			}
			remaining = int64(a.RemainingBytes)
			content = append(content, a.Blob...)
		}
		r.Check(remaining == 0, "%d bytes missing", remaining)
		r.Check(len(content) > sha256.Size+100_000, "%d bytes", len(content))
		body := content[:len(content)-sha256.Size]
		sum := sha256.Sum256(body)
		r.Check(string(sum[:]) == string(content[len(body):]), "the content does not end in its SHA-256")
		// `etcdctl snapshot save` recognises the checksum by the length alone.
		r.Check(len(body)%512 == 0, "%d bytes before the checksum", len(body))
		r.Note("complete")
	}})
}
