package conformance

import (
	"context"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
)

// TestHealthService asks the standard health service for names it knows and names it does not.
func TestHealthService(t *testing.T) {
	names := []string{"", "etcdserverpb.KV", "etcdserverpb.Watch", "etcdserverpb.Maintenance",
		"grpc.health.v1.Health", "nothing", "/"}
	compare(t,
		scenario{"check", func(r *Run) {
			health := grpc_health_v1.NewHealthClient(r.Conn)
			for _, name := range names {
				call(r, "Check", &grpc_health_v1.HealthCheckRequest{Service: name}, health.Check)
			}
		}},
		scenario{"watch", func(r *Run) {
			health := grpc_health_v1.NewHealthClient(r.Conn)
			for _, name := range names {
				ctx, cancel := r.Timeout()
				q := &grpc_health_v1.HealthCheckRequest{Service: name}
				watch, err := health.Watch(ctx, q)
				r.Must(err)
				a, err := watch.Recv()
				r.Record("Watch", q, a, err)
				cancel()
				_, err = watch.Recv() // nothing more came before the client went
				r.Record("Watch, cancelled", q, nil, err)
			}
		}},
		scenario{"list", func(r *Run) {
			health := grpc_health_v1.NewHealthClient(r.Conn)
			ctx, cancel := r.Timeout()
			defer cancel()
			a, err := health.List(ctx, &grpc_health_v1.HealthListRequest{})
			r.Must(err)
			r.Note("%d services", len(a.Statuses))
			for name, status := range a.Statuses {
				r.Note("%q %v", name, status.Status)
			}
		}},
	)
}

// TestRequireLeader sends the metadata by which a client asks to be told when there is no leader.
// Alone, a member always leads: every kind of call is answered as if nothing had been asked.
func TestRequireLeader(t *testing.T) {
	compare(t,
		scenario{"unary", func(r *Run) {
			for _, value := range []string{"true", "false", ""} {
				ctx, cancel := r.Timeout()
				ctx = metadata.AppendToOutgoingContext(ctx, "hasleader", value)
				q := &pb.PutRequest{Key: []byte("a"), Value: []byte(value)}
				a, err := r.KV.Put(ctx, q)
				r.Record("Put, hasleader "+value, q, a, err)
				g := &pb.RangeRequest{Key: []byte("a")}
				b, err := r.KV.Range(ctx, g)
				r.Record("Range, hasleader "+value, g, b, err)
				cancel()
			}
		}},
		scenario{"watch", func(r *Run) {
			ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(r.Ctx))
			defer cancel()
			w := r.Client().Watch(ctx, "w", clientv3.WithCreatedNotify())
			a := <-w
			r.Note("created %v, err %v", a.Created, a.Err())
			for _, value := range []string{"1", "2"} {
				r.Put("w", value)
				a := <-w
				r.Check(len(a.Events) == 1, "%d events, %v", len(a.Events), a.Err())
				r.Note("%v %s=%s", a.Events[0].Type, a.Events[0].Kv.Key, a.Events[0].Kv.Value)
			}
			cancel()
			for a := range w {
				r.Note("after the end: %v %v", len(a.Events), a.Err())
			}
		}},
		scenario{"keep alive", func(r *Run) {
			r.Grant(77, 100)
			ctx, cancel := r.Timeout()
			defer cancel()
			a, err := r.Client().KeepAliveOnce(clientv3.WithRequireLeader(ctx), 77)
			r.Must(err)
			r.Note("%x for %d", int64(a.ID), a.TTL)
			r.Revoke(77)
		}},
	)
}
