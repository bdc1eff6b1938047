package conformance

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice.test/harness"
)

// value is a sample as text: of a histogram how many values it has and, where that is no time, their sum.
func value(family *dto.MetricFamily, m *dto.Metric) string {
	switch {
	case m.Counter != nil:
		return fmt.Sprint(m.Counter.GetValue())
	case m.Gauge != nil:
		return fmt.Sprint(m.Gauge.GetValue())
	case m.Histogram != nil && strings.Contains(family.GetName(), "duration"):
		return fmt.Sprint(m.Histogram.GetSampleCount(), " values")
	case m.Histogram != nil:
		return fmt.Sprint(m.Histogram.GetSampleCount(), " values, sum ", m.Histogram.GetSampleSum())
	}
	return "?"
}

func bounds(m *dto.Metric) (all []string) {
	for _, b := range m.GetHistogram().GetBucket() {
		if !math.IsInf(b.GetUpperBound(), 1) {
			all = append(all, fmt.Sprintf("%.6g", b.GetUpperBound()))
		}
	}
	return all
}

// mustBeEqual are the families that say what clients did: after the same calls, the same samples.
var mustBeEqual = []string{
	"etcd_mvcc_put_total", "etcd_mvcc_delete_total", "etcd_mvcc_range_total", "etcd_mvcc_txn_total",
	"etcd_debugging_mvcc_total_put_size_in_bytes", "etcd_debugging_mvcc_current_revision",
	"etcd_debugging_mvcc_compact_revision", "etcd_debugging_mvcc_watch_stream_total",
	"etcd_debugging_mvcc_watcher_total", "etcd_debugging_mvcc_slow_watcher_total",
	"etcd_debugging_mvcc_events_total", "etcd_debugging_mvcc_keys_total",
	"etcd_debugging_lease_granted_total", "etcd_debugging_lease_revoked_total",
	"etcd_debugging_lease_renewed_total", "etcd_debugging_lease_ttl_total",
	"etcd_debugging_server_lease_expired_total",
	"etcd_mvcc_hash_duration_seconds", "etcd_mvcc_hash_rev_duration_seconds",
	"etcd_disk_backend_snapshot_duration_seconds", "etcd_disk_backend_defrag_duration_seconds",
	"etcd_disk_defrag_inflight",
	"etcd_server_has_leader", "etcd_server_is_leader", "etcd_server_is_learner",
	"etcd_server_leader_changes_seen_total", "etcd_server_proposals_failed_total",
	"etcd_server_proposals_pending", "etcd_server_quota_backend_bytes",
	"etcd_server_slow_read_indexes_total", "etcd_server_read_indexes_failed_total",
	"etcd_server_health_success", "etcd_server_health_failures", "os_fd_limit", "process_max_fds",
}

// perMethod are compared for the unary methods of these services.
var perMethod = []string{"grpc_server_started_total", "grpc_server_handled_total",
	"grpc_server_msg_received_total", "grpc_server_msg_sent_total"}

func isCompared(sample string) bool {
	return strings.Contains(sample, "grpc_type=unary") &&
		(strings.Contains(sample, "grpc_service=etcdserverpb.KV") ||
			strings.Contains(sample, "grpc_service=etcdserverpb.Lease"))
}

// everyOperation is one or more of all that is counted, with its errors.
func everyOperation(r *Run) {
	for i := range 5 {
		r.Put(fmt.Sprint("k", i), "value")
	}
	r.PutRequest(&pb.PutRequest{Key: []byte("k1"), Value: []byte("v2"), PrevKv: true})
	r.PutRequest(&pb.PutRequest{Key: []byte("k1"), IgnoreValue: true})
	r.PutRequest(&pb.PutRequest{Key: []byte("none"), IgnoreValue: true})
	r.PutRequest(&pb.PutRequest{Key: []byte("k1"), Lease: 12345})
	r.PutRequest(&pb.PutRequest{})
	r.Get("k1")
	r.Get("none")
	r.All()
	r.Range(&pb.RangeRequest{Key: []byte("k"), RangeEnd: []byte("l"), CountOnly: true, Serializable: true})
	r.Range(&pb.RangeRequest{Key: []byte("k1"), Revision: 1000})
	r.Range(&pb.RangeRequest{})
	r.Delete("k0")
	r.Delete("none")
	r.DeleteRange(&pb.DeleteRangeRequest{Key: []byte("k2"), PrevKv: true})
	exists := &pb.Compare{Key: []byte("k1"), Target: pb.Compare_VERSION, Result: pb.Compare_GREATER,
		TargetUnion: &pb.Compare_Version{Version: 0}}
	nested := &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: &pb.TxnRequest{
		Compare: []*pb.Compare{exists}, Success: []*pb.RequestOp{opPut("n", "1"), opGet("n")}}}}
	r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{opPut("t", "1")}})
	r.Txn(&pb.TxnRequest{Compare: []*pb.Compare{exists, exists}, Success: []*pb.RequestOp{
		opPut("t", "2"), opGet("t"), opDelete("k3", ""), nested}})
	r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{
		opPutRequest(&pb.PutRequest{Key: []byte("t"), Value: []byte("3"), PrevKv: true})}})
	r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{
		opPutRequest(&pb.PutRequest{Key: []byte("none"), IgnoreLease: true})}})
	r.Txn(&pb.TxnRequest{Success: []*pb.RequestOp{opGet("t")}})
	r.Txn(&pb.TxnRequest{Compare: []*pb.Compare{exists}, Success: []*pb.RequestOp{opGet("t"), opGet("n")}})

	for id := int64(1); id <= 3; id++ {
		r.Grant(id, 100*id)
	}
	r.Grant(3, 100)
	for i := range 3 {
		r.PutRequest(&pb.PutRequest{Key: fmt.Append(nil, "l", i), Value: []byte("x"), Lease: 1})
	}
	r.Revoke(1)
	r.Revoke(1)
	ctx, cancel := r.Timeout()
	defer cancel()
	client := r.Client()
	for range 2 {
		_, err := client.KeepAliveOnce(ctx, 2)
		r.Must(err)
	}

	// It stays open, so that the gauges have something to show.
	watch := client.Watch(r.Ctx, "w", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	<-watch
	for i := range 4 {
		r.Put(fmt.Sprint("w", i), "event")
		<-watch
	}
	r.Compact(&pb.CompactionRequest{Revision: r.Rev(4), Physical: true})
	r.Range(&pb.RangeRequest{Key: []byte("k1"), Revision: r.Rev(2)})
	_, err := r.Maint.Hash(ctx, &pb.HashRequest{})
	r.Must(err)
	_, err = r.Maint.HashKV(ctx, &pb.HashKVRequest{})
	r.Must(err)
	_, err = r.Maint.Defragment(ctx, &pb.DefragmentRequest{})
	r.Must(err)
	snapshot, err := r.Maint.Snapshot(ctx, &pb.SnapshotRequest{})
	r.Must(err)
	for !errors.Is(err, io.EOF) {
		_, err = snapshot.Recv()
		r.Check(err == nil || errors.Is(err, io.EOF), "snapshot: %v", err)
	}
}

// askHealth asks GET /health, which etcd answers by a range that it counts.
func askHealth(r *Run) {
	for range 2 {
		answer, err := http.Get("http://" + r.Server.Address + "/health")
		r.Must(err)
		answer.Body.Close()
		r.Note("health: %s", answer.Status)
	}
}

// TestMetricsAgainstEtcd scrapes both servers after the same operations.
func TestMetricsAgainstEtcd(t *testing.T) {
	scraped := map[string]map[string]*dto.MetricFamily{}
	results := make(chan struct {
		label    string
		families map[string]*dto.MetricFamily
	}, 2)
	compareFresh(t, nil, func(r *Run) {
		everyOperation(r)
		families, err := scrape(r.Server)
		r.Must(err)
		askHealth(r)
		later, err := scrape(r.Server)
		r.Must(err)
		for _, name := range []string{"etcd_server_health_success", "etcd_server_health_failures"} {
			r.Check(later[name] != nil, "no %s", name)
			families[name] = later[name]
		}
		results <- struct {
			label    string
			families map[string]*dto.MetricFamily
		}{r.Server.Binary.Label, families}
	})
	if t.Failed() {
		return
	}
	for range 2 {
		one := <-results
		scraped[one.label] = one.families
	}
	ours, etcds := scraped[harness.Subject().Label], scraped[harness.Reference().Label]
	if len(scraped) != 2 || len(ours) == 0 || len(etcds) == 0 {
		t.Fatalf("%d families of ours, %d of etcd's", len(ours), len(etcds))
	}
	compareShapes(t, ours, etcds)
	for _, name := range mustBeEqual {
		compareSamples(t, ours[name], etcds[name], name, func(string) bool { return true })
	}
	for _, name := range perMethod {
		compareSamples(t, ours[name], etcds[name], name, isCompared)
	}
	// The table is of etcd 3.7; older ones have some names more.
	if !harness.Subject().IsEtcd() && strings.HasPrefix(harness.Reference().Version(), "3.7.") {
		compareWithDocs(t, ours, etcds)
	}
}

// compareShapes requires of each family that both have: the type, the names of labels, the buckets.
func compareShapes(t *testing.T, ours, etcds map[string]*dto.MetricFamily) {
	both := 0
	for name, family := range ours {
		other := etcds[name]
		if other == nil || len(other.Metric) == 0 || len(family.Metric) == 0 {
			continue
		}
		both++
		if family.GetType() != other.GetType() {
			t.Errorf("%s is a %v, etcd's a %v", name, family.GetType(), other.GetType())
		}
		a, b := family.Metric[0], other.Metric[0]
		if got, want := labelNames(a), labelNames(b); got != want {
			t.Errorf("%s has the labels %s, etcd's %s", name, got, want)
		}
		if got, want := bounds(a), bounds(b); !slices.Equal(got, want) {
			t.Errorf("%s has the buckets %v, etcd's %v", name, got, want)
		}
	}
	fmt.Printf("metrics: %d families of both, %d of ours, %d of etcd's\n", both, len(ours), len(etcds))
	if both < 50 {
		t.Errorf("only %d families are in both", both)
	}
}

func labelNames(m *dto.Metric) string {
	var all []string
	for _, l := range m.Label {
		all = append(all, l.GetName())
	}
	slices.Sort(all)
	return strings.Join(all, ",")
}

func compareSamples(t *testing.T, ours, etcds *dto.MetricFamily, name string, wanted func(string) bool) {
	if ours == nil || etcds == nil {
		t.Errorf("%s: not in both", name)
		return
	}
	got := map[string]string{}
	for _, m := range ours.Metric {
		got[labels(m)] = value(ours, m)
	}
	compared := 0
	for _, m := range etcds.Metric {
		key, want := labels(m), value(etcds, m)
		if !wanted(key) {
			continue
		}
		compared++
		if got[key] == "" && want == "0" {
			continue // not written until it counts
		}
		if got[key] != want {
			t.Errorf("%s{%s} is %s, etcd's %s", name, key, got[key], want)
		}
	}
	if compared == 0 {
		t.Errorf("%s: etcd has nothing to compare with", name)
	}
}

// compareWithDocs requires that docs/observability.md names what etcd has and we have not, and nothing else.
func compareWithDocs(t *testing.T, ours, etcds map[string]*dto.MetricFamily) {
	text, err := os.ReadFile(filepath.Join(harness.Root(), "docs", "observability.md"))
	if err != nil {
		t.Fatal(err)
	}
	absent := map[string]bool{}
	_, table, found := strings.Cut(string(text), "## Not there")
	if !found {
		t.Fatal("docs/observability.md has no table of what is not there")
	}
	for line := range strings.Lines(table) {
		names, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|") // the first column
		for _, m := range regexp.MustCompile("`([a-z0-9_]+)`").FindAllStringSubmatch(names, -1) {
			absent[m[1]] = true
		}
	}
	for name := range etcds {
		if !regexp.MustCompile("^(etcd|process|os|grpc)_").MatchString(name) {
			continue // of the Go runtime and its HTTP handler
		}
		if ours[name] == nil && !absent[name] {
			t.Errorf("%s is neither exported nor listed as missing", name)
		}
	}
	for name := range absent {
		if ours[name] != nil {
			t.Errorf("%s is listed as missing and is there", name)
		}
	}
}
