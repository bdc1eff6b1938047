package conformance

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"sluice.test/harness"
)

func (r *Run) http(method, path string) (int, string) {
	ctx, cancel := r.Timeout()
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, method, "http://"+r.Server.Address+path, nil)
	r.Must(err)
	a, err := http.DefaultClient.Do(q)
	r.Must(err)
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	r.Must(err)
	r.Check(a.ProtoMajor == 1, "%s", a.Proto)
	return a.StatusCode, string(body)
}

func TestHTTP(t *testing.T) {
	compare(t,
		scenario{"health", func(r *Run) {
			for _, path := range []string{"/health", "/health?serializable=true", "/health?exclude=NOSPACE"} {
				code, body := r.http("GET", path)
				r.Note("%s %d %s", path, code, body)
			}
			code, body := r.http("POST", "/health")
			r.Note("POST %d %s", code, body)
		}},
		scenario{"health with an alarm", func(r *Run) {
			alarm := func(action pb.AlarmRequest_AlarmAction) {
				call(r, "Alarm", &pb.AlarmRequest{Action: action, Alarm: pb.AlarmType_NOSPACE}, r.Maint.Alarm)
			}
			alarm(pb.AlarmRequest_ACTIVATE)
			for _, path := range []string{"/health", "/health?exclude=NOSPACE"} {
				code, body := r.http("GET", path)
				r.Note("%s %d %s", path, code, body)
			}
			alarm(pb.AlarmRequest_DEACTIVATE)
		}},
		scenario{"version", func(r *Run) {
			code, body := r.http("GET", "/version")
			var v map[string]string
			r.Must(json.Unmarshal([]byte(body), &v))
			r.Check(v["etcdserver"] != "" && v["etcdcluster"] != "", "%s", body)
			r.Note("version %d", code)
		}},
		scenario{"unknown path", func(r *Run) {
			code, _ := r.http("GET", "/no-such-path")
			r.Note("%d", code)
		}},
	)
}

// requiredMetrics are the names behind the official dashboard and alerts that a single member has.
var requiredMetrics = []string{
	"etcd_server_has_leader", "etcd_server_leader_changes_seen_total",
	"etcd_server_proposals_committed_total", "etcd_server_proposals_applied_total",
	"etcd_server_proposals_pending", "etcd_server_proposals_failed_total",
	"etcd_mvcc_db_total_size_in_bytes", "etcd_mvcc_db_total_size_in_use_in_bytes",
	"etcd_disk_wal_fsync_duration_seconds_bucket", "etcd_disk_backend_commit_duration_seconds_bucket",
	"etcd_network_client_grpc_sent_bytes_total", "etcd_network_client_grpc_received_bytes_total",
	"etcd_server_quota_backend_bytes", "grpc_server_started_total", "grpc_server_handled_total",
	"process_resident_memory_bytes",
}

func TestMetrics(t *testing.T) {
	compare(t, scenario{"names", func(r *Run) {
		r.Put("a", "1")
		code, body := r.http("GET", "/metrics")
		r.Note("%d", code)
		for _, name := range requiredMetrics {
			r.Note("%s %s", name, present(strings.Contains(body, "\n"+name)))
		}
	}})
}

func TestDeadlines(t *testing.T) {
	compare(t,
		scenario{"past", func(r *Run) {
			ctx, cancel := context.WithTimeout(r.Ctx, -time.Second)
			defer cancel()
			_, err := r.KV.Range(ctx, &pb.RangeRequest{Key: []byte("a")})
			r.Note("%s", harness.ErrorText(err))
		}},
		scenario{"of a watch stream", func(r *Run) {
			// Waits for time: a deadline is what is tested.
			ctx, cancel := context.WithTimeout(r.Ctx, time.Second)
			defer cancel()
			rpc, err := r.Watch.Watch(ctx)
			r.Must(err)
			r.Must(rpc.Send(createRequest(watchKey("a"))))
			_, err = rpc.Recv()
			r.Must(err)
			_, err = rpc.Recv()
			// The text tells whose clock was first, the server's or the client's: that is open.
			r.Note("%s", status.Code(err))
		}},
		scenario{"a canceled call leaves the connection usable", func(r *Run) {
			for range 50 {
				ctx, cancel := context.WithCancel(r.Ctx)
				rpc, err := r.Watch.Watch(ctx)
				r.Must(err)
				r.Must(rpc.Send(createRequest(watchAll())))
				cancel()
			}
			r.Put("a", "1")
			r.Get("a")
		}},
	)
}

// TestUnimplemented calls what no server has, and services that exist only later.
func TestUnimplemented(t *testing.T) {
	compare(t, scenario{"unknown names", func(r *Run) {
		for _, method := range []string{"/etcdserverpb.KV/Nothing", "/no.such.Service/Method", "/x"} {
			ctx, cancel := r.Timeout()
			defer cancel()
			err := r.Conn.Invoke(ctx, method, &emptypb.Empty{}, &emptypb.Empty{})
			r.Note("%s %s", method, harness.ErrorText(err))
		}
		ctx, cancel := r.Timeout()
		defer cancel()
		desc := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
		s, err := r.Conn.NewStream(ctx, desc, "/etcdserverpb.Watch/Nothing")
		r.Must(err)
		r.Note("stream %s", harness.ErrorText(s.RecvMsg(&emptypb.Empty{})))
	}})
}

// TestMalformedMessage sends bytes that are no protobuf; the connection goes on.
func TestMalformedMessage(t *testing.T) {
	compare(t, scenario{"range", func(r *Run) {
		ctx, cancel := r.Timeout()
		defer cancel()
		garbage := []byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f}
		err := r.Conn.Invoke(ctx, "/etcdserverpb.KV/Range", garbage, &pb.RangeResponse{},
			grpc.ForceCodec(rawRequest{}))
		code, _, _ := strings.Cut(harness.ErrorText(err), ": ")
		r.Note("%s", code) // the text comes from each server's own protobuf library
		r.Put("a", "1")
	}})
}

// rawRequest is a codec that sends bytes as they are.
type rawRequest struct{}

func (rawRequest) Name() string                  { return "proto" }
func (rawRequest) Marshal(v any) ([]byte, error) { return v.([]byte), nil }
func (rawRequest) Unmarshal([]byte, any) error   { return nil }

// TestKeepalivePings sends more pings than etcd's policy (one per 5 s) allows: GOAWAY follows.
func TestKeepalivePings(t *testing.T) {
	compare(t, scenario{"too many", func(r *Run) {
		conn, err := net.Dial("tcp", r.Server.Address)
		r.Must(err)
		defer conn.Close()
		r.Must(conn.SetDeadline(time.Now().Add(callTimeout)))
		_, err = io.WriteString(conn, http2.ClientPreface)
		r.Must(err)
		framer := http2.NewFramer(conn, conn)
		r.Must(framer.WriteSettings())
		for i := range 10 {
			// Pings stop to be written once the server has hung up; the GOAWAY is still read.
			if framer.WritePing(false, [8]byte{byte(i)}) != nil {
				break
			}
		}
		for {
			frame, err := framer.ReadFrame()
			r.Must(err)
			if away, ok := frame.(*http2.GoAwayFrame); ok {
				r.Note("GOAWAY %s %q", away.ErrCode, away.DebugData())
				return
			}
		}
	}})
}
