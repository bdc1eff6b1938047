// Package durability kills the server while clients write and checks what is there afterwards.
//
//	go test ./durability -kills 200          # the full run
package durability

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"sluice.test/harness"
)

var (
	kills    = flag.Int("kills", 20, "how often the server is killed")
	seedFlag = flag.Uint64("seed", 0, "seed of the moments of the kills; 0 picks one and prints it")
)

func runSeed() uint64 {
	if *seedFlag != 0 {
		return *seedFlag
	}
	return uint64(time.Now().UnixNano())%1_000_000 + 1
}

// TestKill is SIGKILL at random moments under load: nothing acknowledged is lost, nothing that was
// not acknowledged half appears, and revisions have neither gaps nor repeats.
func TestKill(t *testing.T) {
	harness.Guard(t)
	seed := runSeed()
	fmt.Printf("durability: seed %d, %d kills\n", seed, *kills)
	random := rand.New(rand.NewPCG(seed, 0))
	s := start(t, harness.Options{})
	f := newFleet()
	from, acked, doubts, done := int64(2), 0, 0, 0
	var found restarts
	for round := 1; round <= *kills; round++ {
		if err := f.start(context.Background(), s); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
		s.Kill()
		f.wait()
		acked += f.acked()
		for _, w := range f.writers {
			if w.doubt > 0 {
				doubts++
			}
		}
		again, err := harness.Start(s.Binary, harness.Options{DataDir: s.DataDir, Address: s.Address})
		if err != nil {
			t.Fatalf("seed %d, restart %d: %v", seed, round, err)
		}
		*s = *again
		found.add(t, s)
		last, happened := check(t, f, s, from, fmt.Sprintf("seed %d, round %d", seed, round))
		done += happened
		from = last + 1
	}
	if acked == 0 {
		t.Fatal("no operation was ever acknowledged: nothing was tested")
	}
	fmt.Printf("durability: %d kills, %d acknowledged and all there; of %d in doubt %d had happened; %v\n",
		*kills, acked, doubts, done, &found)
}

// check reads the history since from and compares; it returns the newest revision.
func check(t *testing.T, f *fleet, s *harness.Server, from int64, where string) (int64, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), verifyTimeout)
	defer cancel()
	h, err := readHistory(ctx, s, from)
	if err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	done, err := f.verify(h)
	if err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	return h.last, done
}

// restarts counts what the server says at its starts that it found in its log.
type restarts struct {
	starts, cuts, replays     int   // with a torn group cut off; with entries to apply again
	entriesReplayed, cutBytes int64 // over all of them
}

func (r *restarts) add(t *testing.T, s *harness.Server) {
	t.Helper()
	r.starts++
	if s.Binary.IsEtcd() {
		return
	}
	for line := range strings.Lines(s.LogTail(1 << 20)) {
		var found struct {
			Message string `json:"msg"`
			Last    int64  `json:"last_index"`
			Applied int64  `json:"applied_index"`
			Cut     int64  `json:"cut_bytes"`
		}
		if json.Unmarshal([]byte(line), &found) != nil || found.Message != "recovered from the log" {
			continue
		}
		if found.Cut > 0 {
			r.cuts++
		}
		if found.Last > found.Applied {
			r.replays++
		}
		r.cutBytes += found.Cut
		r.entriesReplayed += found.Last - found.Applied
		return
	}
	t.Fatalf("the server does not say what it found in its log: %s", s.LogTail(2000))
}

func (r *restarts) String() string {
	return fmt.Sprintf("of %d restarts %d cut a torn group (%d bytes), %d applied entries again (%d)",
		r.starts, r.cuts, r.cutBytes, r.replays, r.entriesReplayed)
}

func start(t *testing.T, o harness.Options) *harness.Server {
	t.Helper()
	s, err := harness.Start(harness.Subject(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Kill(); s.Remove() })
	return s
}

// TestDiskFull fills a small file system under the server. Writes must fail with an error, not hang
// and not be acknowledged; once there is room again, everything acknowledged is there.
func TestDiskFull(t *testing.T) {
	harness.Guard(t)
	const small, roomy = "size=200m", "size=2g"
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, small); err != nil {
		t.Skipf("cannot mount a small tmpfs (%v): run as root with CAP_SYS_ADMIN", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	o := harness.Options{
		DataDir: filepath.Join(disk, "data"), Flags: []string{"--quota-backend-bytes=8589934592"},
		MayEnd: true, // rather than serve what it cannot keep
	}
	s, err := harness.Start(harness.Subject(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.Kill(); s.Remove() }()
	revisions := fillDisk(t, s)
	fmt.Printf("disk full: %d of 1 MiB were acknowledged; the server is then alive: %v\n",
		len(revisions), s.Alive())
	s.Kill()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, roomy); err != nil {
		t.Fatal(err)
	}
	o.Address, o.MayEnd = s.Address, false
	if s, err = harness.Start(harness.Subject(), o); err != nil {
		t.Fatal(err)
	}
	conn, err := dial(s)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	kv := pb.NewKVClient(conn)
	ctx, cancel := context.WithTimeout(context.Background(), verifyTimeout)
	defer cancel()
	for i, revision := range revisions {
		a, err := kv.Range(ctx, &pb.RangeRequest{Key: fmt.Appendf(nil, "big%d", i)})
		if err != nil {
			t.Fatal(err)
		}
		if len(a.Kvs) != 1 || a.Kvs[0].ModRevision != revision || len(a.Kvs[0].Value) != 1<<20 {
			t.Fatalf("key %d, acknowledged at revision %d, is not there", i, revision)
		}
	}
	if _, err := kv.Put(ctx, &pb.PutRequest{Key: []byte("after")}); err != nil {
		t.Fatalf("with room again: %v", err)
	}
}

// fillDisk puts 1 MiB values until three puts in a row failed; it returns the revisions given.
func fillDisk(t *testing.T, s *harness.Server) (revisions []int64) {
	t.Helper()
	conn, err := dial(s)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	kv := pb.NewKVClient(conn)
	value := make([]byte, 1<<20)
	for i := range value {
		value[i] = byte(rand.Uint32()) // not to be compressed away
	}
	for failed := 0; failed < 3; {
		ctx, cancel := context.WithTimeout(context.Background(), verifyTimeout)
		key := fmt.Appendf(nil, "big%d", len(revisions))
		a, err := kv.Put(ctx, &pb.PutRequest{Key: key, Value: value})
		if ctx.Err() != nil {
			t.Fatal("a put on a full disk hangs")
		}
		cancel()
		if err != nil {
			failed++
			continue
		}
		failed = 0
		revisions = append(revisions, a.Header.Revision)
		if len(revisions) > 1000 {
			t.Fatal("1000 MiB went onto a disk of 200 MiB")
		}
	}
	return revisions
}

func TestMain(m *testing.M) {
	flag.Parse()
	harness.Main(m.Run)
}
