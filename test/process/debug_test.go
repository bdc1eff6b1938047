package process

import (
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice.test/harness"
)

func page(t *testing.T, s *harness.Server, path string) (int, string) {
	t.Helper()
	answer, err := http.Get("http://" + s.Address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// TestSigquit: the server writes down what each fiber does, and goes on.
func TestSigquit(t *testing.T) {
	harness.Guard(t)
	s := start(t, harness.Subject(), harness.Options{})
	put(t, s, "before")
	for round := 1; round <= 3; round++ {
		if err := s.Signal(syscall.SIGQUIT); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(callTimeout)
		for strings.Count(s.LogTail(1<<20), "SIGQUIT: all fibers\n") < round {
			if time.Now().After(deadline) {
				t.Fatalf("dump %d did not come; the log: %s", round, s.LogTail(2000))
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	put(t, s, "after")
	if !keys(t, s)["after"] {
		t.Error("the server does not go on")
	}
	if log := s.LogTail(1 << 20); !strings.Contains(log, "\"main\" waiting: ") {
		t.Errorf("no word of the first fiber: %s", log)
	}
}

// TestDebugPages: there with --enable-pprof alone.
func TestDebugPages(t *testing.T) {
	harness.Guard(t)
	closed := start(t, harness.Subject(), harness.Options{})
	for _, path := range []string{"/debug/fibers", "/debug/locks", "/debug/trace"} {
		if status, _ := page(t, closed, path); status != http.StatusNotFound {
			t.Errorf("%s without the flag: %d", path, status)
		}
	}
	open := start(t, harness.Subject(), harness.Options{Flags: []string{"--enable-pprof"}})
	put(t, open, "key")
	status, fibers := page(t, open, "/debug/fibers")
	if status != http.StatusOK || !strings.Contains(fibers, "fiber 1 \"main\" waiting: ") {
		t.Errorf("/debug/fibers: %d %s", status, fibers)
	}
	status, locks := page(t, open, "/debug/locks")
	if !regexp.MustCompile(`^\d+ waits for locks, \d+ of 200 us and more; `).MatchString(locks) ||
		status != http.StatusOK {
		t.Errorf("/debug/locks: %d %s", status, locks)
	}
	status, text := page(t, open, "/debug/trace")
	var trace struct {
		TraceEvents []struct {
			Ph, Name string
			Ts       float64
		}
	}
	if err := json.Unmarshal([]byte(text), &trace); status != http.StatusOK || err != nil {
		t.Fatalf("/debug/trace: %d %v", status, err)
	}
	slices := 0
	for _, event := range trace.TraceEvents {
		if event.Ph == "X" && strings.HasPrefix(event.Name, "fiber ") {
			slices++
		}
	}
	if slices == 0 {
		t.Errorf("no fiber ran: %.2000s", text)
	}
}

// TestGdbScript: a debugger lists the fibers and walks the stack of one, by symbols alone.
func TestGdbScript(t *testing.T) {
	harness.Guard(t)
	gdb, err := exec.LookPath("gdb")
	if err != nil {
		t.Skip("no gdb here")
	}
	s := start(t, harness.Subject(), harness.Options{})
	put(t, s, "key")
	script := filepath.Join(harness.Root(), "tools", "gdb", "sluice.py")
	out, err := exec.Command(gdb, "-batch", "-nx", "-p", strconv.Itoa(s.Pid), "-x", script,
		"-ex", "sluice fibers", "-ex", "sluice backtrace 1").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text := string(out)
	for _, want := range []string{"fiber 1 \"main\" waiting: ", "\"log loop\" ", "#0 ", "fiber_main(void*)"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	if !keys(t, s)["key"] {
		t.Error("the server does not go on")
	}
}
