package durability

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice.test/harness"
)

// faultLibrary builds fault/fault.c. An etcd makes its system calls itself, so no library reaches them.
func faultLibrary(t *testing.T) string {
	t.Helper()
	if harness.Subject().IsEtcd() {
		t.Skip("the server under test is an etcd, whose system calls no library can change")
	}
	library := filepath.Join(t.TempDir(), "fault.so")
	for _, compiler := range []string{"cc", "clang-19", "gcc"} {
		if _, err := exec.LookPath(compiler); err != nil {
			continue
		}
		build := exec.Command(compiler, "-Wall", "-Werror", "-O1", "-shared", "-fPIC",
			"-o", library, "fault/fault.c", "-ldl")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return library
	}
	t.Fatal("no C compiler for fault.c")
	return ""
}

// runUntilGone starts the server with a fault, lets the writers run until it ends the server, and
// waits for both.
func runUntilGone(t *testing.T, f *fleet, o harness.Options) *harness.Server {
	t.Helper()
	o.MayEnd = true
	s, err := harness.Start(harness.Subject(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	if err := f.start(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.Exited():
	case <-time.After(verifyTimeout):
		t.Fatalf("the fault did not end the server; its log: %s", s.LogTail(2000))
	}
	f.wait()
	return s
}

// TestFailingSync lets fdatasync fail. That must end the server with a clear line and without an
// acknowledgement, as nobody knows what the kernel dropped; afterwards all that was acknowledged is
// there.
func TestFailingSync(t *testing.T) {
	harness.Guard(t)
	library := faultLibrary(t)
	f := newFleet()
	s := runUntilGone(t, f, harness.Options{
		Env: []string{"LD_PRELOAD=" + library, "FAULT_SYNC_FAILS=200"},
	})
	t.Cleanup(s.Remove)
	if s.ExitError() == nil {
		t.Error("it exited with 0")
	}
	if log := s.LogTail(4000); !strings.Contains(log, "fdatasync") {
		t.Errorf("its log does not name fdatasync: %s", log)
	}
	if f.acked() == 0 {
		t.Fatal("nothing was acknowledged before the fault: nothing was tested")
	}
	again, err := harness.Start(s.Binary, harness.Options{DataDir: s.DataDir, Address: s.Address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(again.Kill)
	check(t, f, again, 2, "after a failed fdatasync")
}

// TestPowerLoss ends the server in the middle of a group, with sectors lost that were not yet durable:
// all, none, a tail, any. The log must be cut there, never guessed.
func TestPowerLoss(t *testing.T) {
	harness.Guard(t)
	library := faultLibrary(t)
	rounds := max(5, *kills/2)
	seed := runSeed()
	fmt.Printf("durability: seed %d, %d power losses\n", seed, rounds)
	random := rand.New(rand.NewPCG(seed, 1))
	f := newFleet()
	o := harness.Options{}
	from, acked, lost, sectors := int64(2), 0, 0, 0
	whole, nothing, torn := 0, 0, 0 // what was left of the last groups
	var found restarts
	for round := 1; round <= rounds; round++ {
		o.Env = []string{"LD_PRELOAD=" + library, fmt.Sprint("FAULT_LOSE=", 20+random.IntN(300)),
			fmt.Sprint("FAULT_SEED=", random.Uint32()>>2<<2+uint32(round%4))}
		s := runUntilGone(t, f, o)
		where := fmt.Sprintf("seed %d, power loss %d", seed, round)
		if status, ok := s.ExitStatus(); !ok || status.Signal() != syscall.SIGKILL {
			t.Fatalf("%s: it ended by itself: %v; its log: %s", where, s.ExitError(), s.LogTail(2000))
		}
		acked += f.acked()
		var gone, of int
		_, told, _ := strings.Cut(s.LogTail(200), "fault: power lost with ")
		if _, err := fmt.Sscanf(told, "%d of %d sectors", &gone, &of); err != nil {
			t.Fatalf("%s: the fault did not say what it did: %v", where, err)
		}
		lost, sectors = lost+gone, sectors+of
		switch gone {
		case 0:
			whole++
		case of:
			nothing++
		default:
			torn++
		}
		o.DataDir, o.Address, o.Env = s.DataDir, s.Address, nil
		again, err := harness.Start(s.Binary, o)
		if err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		found.add(t, again)
		last, _ := check(t, f, again, from, where)
		from = last + 1
		again.Kill()
		if round == 1 {
			t.Cleanup(again.Remove)
		}
	}
	fmt.Printf("durability: %d power losses, %d of %d unsynced sectors lost, last groups: %d whole, %d torn, "+
		"%d gone; %d acknowledged and all there; %v\n",
		rounds, lost, sectors, whole, torn, nothing, acked, &found)
	if acked == 0 || torn == 0 || nothing == 0 || found.cuts == 0 {
		t.Error("nothing acknowledged, nothing torn, nothing gone, or no torn group cut: nothing was tested")
	}
}
