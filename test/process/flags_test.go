package process

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"sluice.test/harness"
)

// member is what a server says of itself.
func member(t *testing.T, s *harness.Server) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	answer, err := pb.NewClusterClient(dial(t, s)).MemberList(ctx, &pb.MemberListRequest{})
	must(t, err)
	if len(answer.Members) != 1 {
		t.Fatalf("%s: %v", s.Binary.Label, answer)
	}
	m := answer.Members[0]
	return fmt.Sprintf("cluster %x, member %x %x %s %v", answer.Header.ClusterId, answer.Header.MemberId,
		m.ID, m.Name, m.PeerURLs)
}

// TestIdentityIsEtcds: the same flags give the same ids, and the directory keeps them.
func TestIdentityIsEtcds(t *testing.T) {
	harness.Guard(t)
	peers := []string{"http://" + harness.FreeAddress(), "http://" + harness.FreeAddress()}
	flags := []string{"--name", "green", "--initial-cluster-token", "some token",
		"--listen-peer-urls", peers[0],
		"--initial-advertise-peer-urls", strings.Join(peers, ","),
		"--initial-cluster", "green=" + peers[1] + ",green=" + peers[0]}
	etcd := start(t, harness.Reference(), harness.Options{Flags: flags})
	want := member(t, etcd)
	sluice := start(t, harness.Subject(), harness.Options{Flags: flags})
	if got := member(t, sluice); got != want {
		t.Errorf("sluice: %s\netcd:   %s", got, want)
	}
	must(t, sluice.Stop())
	// Other flags later do not make another member of it.
	again := start(t, harness.Subject(), harness.Options{DataDir: sluice.DataDir,
		Flags: append(flags, "--initial-cluster-token", "another", "--initial-cluster-state", "existing")})
	if got := member(t, again); got != want {
		t.Errorf("after a restart: %s, want %s", got, want)
	}
}

// refused starts the server, which must not start, and returns its log.
func refused(t *testing.T, want string, flags ...string) string {
	t.Helper()
	s, err := harness.Launch(harness.Subject(), harness.Options{Flags: flags, MayEnd: true})
	must(t, err)
	t.Cleanup(s.Remove)
	if end := exitOf(t, s); end != want {
		t.Errorf("%v ended with %s, want %s; its log: %s", flags, end, want, s.LogTail(2000))
	}
	return strings.TrimSpace(s.LogTail(2000))
}

func TestFlagsThatAreRefused(t *testing.T) {
	harness.Guard(t)
	for _, c := range []struct{ status, log, flags string }{
		{"exit status 2", "--no-such-flag", "--no-such-flag"},
		{"exit status 2", "--max-txn-ops", "--max-txn-ops many"},
		{"exit status 2", "--initial-cluster", "--initial-cluster default=http://127.0.0.1:1"},
		{"exit status 2", "--log-format", "--log-format xml"},
		{"exit status 1", "--cpu-list: CPU 1023 is not among", "--cpu-list 1023"},
		{"exit status 1", "joining an existing cluster", "--initial-cluster-state existing"},
		{"exit status 1", "--auto-compaction-retention", "--auto-compaction-mode revision --auto-compaction-retention 1h"},
	} {
		log := refused(t, c.status, strings.Fields(c.flags)...)
		if strings.Contains(log, "\n") || !strings.Contains(log, c.log) {
			t.Errorf("%s: want one line with %q, got %s", c.flags, c.log, log)
		}
	}
}

// TestUnsafeNoFsync: it says so, and what was acknowledged survives the process all the same.
func TestUnsafeNoFsync(t *testing.T) {
	harness.Guard(t)
	s := start(t, harness.Subject(), harness.Options{Flags: []string{"--unsafe-no-fsync"},
		Env: []string{"SLUICE_FAULT=fdatasync_error_after=2"}}) // MEMBER, and the segment
	if log := s.LogTail(2000); !strings.Contains(log, "the log is not synced") {
		t.Errorf("no warning: %s", log)
	}
	put(t, s, "key")
	s.Kill()
	if !keys(t, start(t, harness.Subject(), harness.Options{DataDir: s.DataDir}))["key"] {
		t.Error("the key is gone")
	}
}

// cpusOf is the list of CPUs that each thread of a process may use, by the thread's name; the first
// one is "main", and of several with one name the later ones have their number behind it.
func cpusOf(t *testing.T, pid int) map[string]string {
	t.Helper()
	cpus := map[string]string{}
	paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	must(t, err)
	for _, path := range paths {
		status, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		fields := map[string]string{}
		for _, line := range strings.Split(string(status), "\n") {
			if name, value, found := strings.Cut(line, ":"); found {
				fields[name] = strings.TrimSpace(value)
			}
		}
		if fields["Pid"] == fields["Tgid"] {
			fields["Name"] = "main"
		}
		if _, found := cpus[fields["Name"]]; found {
			fields["Name"] += " " + fields["Pid"]
		}
		cpus[fields["Name"]] = fields["Cpus_allowed_list"]
	}
	return cpus
}

// misplaced says which thread is not where TestPinnedWorkers wants it.
func misplaced(cpus map[string]string, allowed, first string) error {
	if got := cpus["log-writer"]; got != allowed {
		return fmt.Errorf("the log writer is on %q, not on %s", got, allowed)
	}
	if got := cpus["main"]; got != first {
		return fmt.Errorf("worker 0 is on %q, not on %s", got, first)
	}
	for _, name := range []string{"worker-1", "worker-2"} {
		if got := cpus[name]; got == "" || strings.ContainsAny(got, ",-") {
			return fmt.Errorf("%s is on %q, not on one CPU", name, got)
		}
	}
	return nil
}

// TestPinnedWorkers: each worker on its CPU, the log writer and the others on all of the list.
func TestPinnedWorkers(t *testing.T) {
	harness.Guard(t)
	allowed := cpusOf(t, os.Getpid())["main"]
	first, _, _ := strings.Cut(strings.ReplaceAll(allowed, "-", ","), ",")
	s := start(t, harness.Subject(), harness.Options{
		Flags: []string{"--pin-workers", "cpu", "--cpu-list", allowed, "--workers", "3"}})
	put(t, s, "key")
	// A worker that had nothing to do yet may still be on its way to its CPU.
	deadline := time.Now().Add(callTimeout)
	for {
		err := misplaced(cpusOf(t, s.Pid), allowed, first)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestCPUListHoldsForAllThreads: no thread of the process runs elsewhere, not the log's either.
func TestCPUListHoldsForAllThreads(t *testing.T) {
	harness.Guard(t)
	allowed := cpusOf(t, os.Getpid())["main"]
	first, _, _ := strings.Cut(strings.ReplaceAll(allowed, "-", ","), ",")
	if first == allowed {
		t.Skip("there is one CPU only")
	}
	s := start(t, harness.Subject(), harness.Options{Flags: []string{"--cpu-list", first}})
	put(t, s, "key")
	threads := cpusOf(t, s.Pid)
	if len(threads) < 3 {
		t.Errorf("only %v", threads)
	}
	for name, got := range threads {
		if got != first {
			t.Errorf("%s is on %s, not on %s", name, got, first)
		}
	}
}
