// Package process is about the server as a process: signals at any moment, a second start on the
// same directory, what clients see when it stops.
//
//	go test ./process -starts 200          # the full run
package process

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"sluice.test/harness"
)

var (
	starts   = flag.Int("starts", 30, "how often a start is interrupted")
	seedFlag = flag.Uint64("seed", 0, "seed of the moments; 0 picks one and prints it")
)

const callTimeout = 15 * time.Second

func TestMain(m *testing.M) {
	flag.Parse()
	harness.Main(m.Run)
}

func runSeed(t *testing.T) uint64 {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())%1_000_000 + 1
	}
	t.Logf("seed %d", seed)
	return seed
}

func start(t *testing.T, b harness.Binary, o harness.Options) *harness.Server {
	t.Helper()
	s, err := harness.Start(b, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.Alive() {
			s.Kill()
		}
		s.Remove()
	})
	return s
}

func dial(t *testing.T, s *harness.Server) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(s.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func put(t *testing.T, s *harness.Server, key string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	if _, err := pb.NewKVClient(dial(t, s)).Put(ctx, &pb.PutRequest{Key: []byte(key)}); err != nil {
		t.Fatal(err)
	}
}

func keys(t *testing.T, s *harness.Server) map[string]bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	all := &pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}, KeysOnly: true}
	answer, err := pb.NewKVClient(dial(t, s)).Range(ctx, all)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, kv := range answer.Kvs {
		found[string(kv.Key)] = true
	}
	return found
}

// exitOf waits for the end of the process and says how it ended: "exit 0", "SIGTERM".
func exitOf(t *testing.T, s *harness.Server) string {
	t.Helper()
	select {
	case <-s.Exited():
	case <-time.After(callTimeout):
		s.Kill()
		t.Fatalf("it did not end; its log: %s", s.LogTail(2000))
	}
	status, failed := s.ExitStatus()
	switch {
	case !failed && s.ExitError() == nil:
		return "exit 0"
	case failed && status.Signaled():
		return fmt.Sprint("signal ", int(status.Signal()))
	default:
		return fmt.Sprint(s.ExitError())
	}
}

// TestSignalDuringStart sends SIGTERM or SIGINT at random moments of a start, on empty directories
// and on used ones. The end is clean; only before the program has begun, while the loader still
// puts it together, the signal ends it the default way, and nothing is on the disk then.
func TestSignalDuringStart(t *testing.T) {
	harness.Guard(t)
	random := rand.New(rand.NewPCG(runSeed(t), 0))
	clean, before := 0, 0
	for n := range *starts {
		dir := filepath.Join(t.TempDir(), "data")
		written := map[string]bool{}
		for round := range 3 {
			signal := []syscall.Signal{syscall.SIGTERM, syscall.SIGINT}[random.IntN(2)]
			_, err := os.Stat(dir)
			wasThere := err == nil
			s, err := harness.Launch(harness.Subject(), harness.Options{DataDir: dir, MayEnd: true})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(random.IntN(120_000)) * time.Microsecond)
			if err := syscall.Kill(s.Pid, signal); err != nil {
				t.Fatalf("start %d.%d: %v; its log: %s", n, round, err, s.LogTail(2000))
			}
			end := exitOf(t, s)
			_, err = os.Stat(dir)
			switch {
			case end == "exit 0":
				clean++
			case end == fmt.Sprint("signal ", int(signal)) && (err == nil) == wasThere && s.LogTail(1000) == "\n":
				before++
			default:
				t.Fatalf("start %d.%d: %v gave %s; its log: %s", n, round, signal, end, s.LogTail(2000))
			}
			again := start(t, harness.Subject(), harness.Options{DataDir: dir})
			for key := range written {
				if !keys(t, again)[key] {
					t.Fatalf("start %d.%d: %s is gone", n, round, key)
				}
			}
			key := fmt.Sprint("key", round)
			put(t, again, key)
			written[key] = true
			if round == 1 {
				again.Kill() // the next start is one that recovers
			} else if err := again.Stop(); err != nil {
				t.Fatal(err)
			}
		}
	}
	fmt.Printf("process: %d starts interrupted, %d ended cleanly, %d before the program had begun\n",
		clean+before, clean, before)
	if clean == 0 {
		t.Fatal("no start was interrupted: nothing was tested")
	}
}

func TestLockedDirectory(t *testing.T) {
	harness.Guard(t)
	first := start(t, harness.Subject(), harness.Options{})
	put(t, first, "key")
	second, err := harness.Launch(harness.Subject(), harness.Options{DataDir: first.DataDir, MayEnd: true})
	if err != nil {
		t.Fatal(err)
	}
	if end := exitOf(t, second); end != "exit status 1" {
		t.Fatalf("the second start ended with %s", end)
	}
	want := "another process uses the data directory " + first.DataDir
	if log := second.LogTail(2000); !strings.Contains(log, want) {
		t.Fatalf("its log does not say %q: %s", want, log)
	}
	if !keys(t, first)["key"] {
		t.Fatal("the first one has lost its data")
	}
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	third := start(t, harness.Subject(), harness.Options{DataDir: first.DataDir})
	if !keys(t, third)["key"] {
		t.Fatal("the data is gone")
	}
}
