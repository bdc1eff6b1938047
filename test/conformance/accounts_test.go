package conformance

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"sluice.test/harness"
)

const (
	stageFamily = "sluice_request_stage_duration_seconds"
	totalFamily = "sluice_request_duration_seconds"
)

// stageTimes is the count and the sum of each stage; "" is the whole request.
func stageTimes(t *testing.T, s *harness.Server) map[string]*dto.Histogram {
	t.Helper()
	families, err := scrape(s)
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]*dto.Histogram{}
	for _, name := range []string{stageFamily, totalFamily} {
		if families[name] == nil {
			t.Fatalf("/metrics has no %s", name)
		}
		for _, m := range families[name].Metric {
			stage := ""
			for _, l := range m.Label {
				stage = l.GetValue()
			}
			times[stage] = m.Histogram
		}
	}
	return times
}

// TestTimeAccounts makes a known number of calls. Each must be in the histogram of every stage that
// it meets and of no other, and the stages must explain the whole: they add up to it, and to no more
// than there was. A caller's account is closed with the turn that answers it, which may be after the
// caller has the answer; but its next one begins with a later turn of the connection. So a caller's
// accounts lie one after the other, between the connection's beginning and the scrape.
func TestTimeAccounts(t *testing.T) {
	if harness.Subject().IsEtcd() {
		t.Skip("an etcd keeps no time accounts")
	}
	harness.Guard(t)
	s, err := harness.Start(harness.Subject(), harness.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Remove)
	t.Cleanup(s.Kill)
	began := time.Now()
	conn, err := grpc.NewClient(s.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	kv := pb.NewKVClient(conn)
	ctx, cancel := context.WithTimeout(context.Background(), scenarioTimeout)
	defer cancel()

	const puts, gets, callers = 400, 300, 20
	spent := 0.0 // seconds that the callers waited
	run := func(calls int, one func(key []byte) error) {
		var group sync.WaitGroup
		var mutex sync.Mutex
		for caller := range callers {
			group.Go(func() {
				for i := range calls / callers {
					began := time.Now()
					if err := one(fmt.Append(nil, caller, "/", i)); err != nil {
						t.Error(err)
						return
					}
					mutex.Lock()
					spent += time.Since(began).Seconds()
					mutex.Unlock()
				}
			})
		}
		group.Wait()
	}
	// The account of the last answer is closed a moment after the client has it.
	await := func(requests uint64) map[string]*dto.Histogram {
		for {
			times := stageTimes(t, s)
			if times[""].GetSampleCount() >= requests || ctx.Err() != nil {
				return times
			}
		}
	}
	expect := func(times map[string]*dto.Histogram, want map[string]uint64) {
		t.Helper()
		sum := 0.0
		for stage, h := range times {
			if h.GetSampleCount() != want[stage] {
				t.Errorf("stage %q has %d requests, want %d", stage, h.GetSampleCount(), want[stage])
			}
			if stage != "" {
				sum += h.GetSampleSum()
			}
		}
		whole := times[""].GetSampleSum()
		if sum > whole*1.0001 || sum < whole*0.99 {
			t.Errorf("the stages add up to %v s of %v s", sum, whole)
		}
		// The server's clock and ours need not have the very same rate.
		if most := callers * time.Since(began).Seconds(); whole > 1.01*most {
			t.Errorf("the server accounts for %v s, %d callers had %v s", whole, callers, most)
		}
		fmt.Printf("time accounts: the stages are %.2f%% of the requests' time, that is %.0f%% of what clients waited\n",
			100*sum/whole, 100*whole/spent)
	}

	stages := []string{"run_queue", "parse", "log_queue", "log_write", "fsync", "apply", "read", "serialise", "send", ""}
	before := stageTimes(t, s)
	if len(before) != len(stages) {
		t.Errorf("%d histograms, want %d", len(before), len(stages))
	}
	for _, stage := range stages {
		if before[stage] == nil || before[stage].GetSampleCount() != 0 {
			t.Errorf("stage %q: %v before the first request", stage, before[stage])
		}
	}
	run(puts, func(key []byte) error {
		_, err := kv.Put(ctx, &pb.PutRequest{Key: key, Value: key})
		return err
	})
	expect(await(puts), map[string]uint64{"run_queue": puts, "parse": puts, "log_queue": puts,
		"log_write": puts, "fsync": puts, "apply": puts, "send": puts, "": puts})
	run(gets, func(key []byte) error {
		_, err := kv.Range(ctx, &pb.RangeRequest{Key: key})
		return err
	})
	expect(await(puts+gets), map[string]uint64{"run_queue": puts + gets, "parse": puts + gets, "log_queue": puts,
		"log_write": puts, "fsync": puts, "apply": puts, "read": gets, "send": puts + gets, "": puts + gets})
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}
