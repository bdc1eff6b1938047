package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// fake is a server that is a shell script: it says that it serves, does `then`, and waits for a
// signal; `last` is what it does on SIGTERM.
func fake(t *testing.T, then, last string) *Server {
	t.Helper()
	return fakeWith(t, Options{}, then, last)
}

func fakeWith(t *testing.T, o Options, then, last string) *Server {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fake")
	script := fmt.Sprintf("#!/bin/sh\ntrap '%s exit 0' TERM\necho '%s'\n%s\n"+
		"while :; do sleep 0.05; done\n", last, readyLine, then)
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	o.DataDir = filepath.Join(t.TempDir(), "data")
	s, err := Start(Binary{Label: "sluice", Path: path}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s
}

// one requires exactly one problem, which says `want`; "" requires none.
func one(t *testing.T, want string) {
	t.Helper()
	found := problems()
	if want == "" && len(found) == 0 {
		return
	}
	if len(found) != 1 || want == "" || !strings.Contains(found[0], want) {
		t.Fatalf("problems %q, want one that says %q", found, want)
	}
}

func TestAHealthyServerHasNoProblem(t *testing.T) {
	s := fake(t, "echo all is well", "echo bye;")
	one(t, "")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	one(t, "")
	killed := fake(t, "", "")
	killed.Kill()
	one(t, "")
}

func TestSanitizerReportsAreProblems(t *testing.T) {
	for name, line := range map[string]string{
		"thread":    "WARNING: ThreadSanitizer: data race (pid=1)",
		"undefined": "src/a.cc:3:5: runtime error: signed integer overflow",
		"address":   "==1==ERROR: AddressSanitizer: heap-use-after-free",
	} {
		t.Run(name, func(t *testing.T) {
			marker := filepath.Join(t.TempDir(), "reported")
			s := fake(t, fmt.Sprintf("echo '%s' >&2; echo '    #0 main' >&2; until [ -p %s ]; do :; done; : >%s", line, marker, marker), "")
			// Opening the pipe returns once the script has written its report.
			if err := syscall.Mkfifo(marker, 0o600); err != nil && !os.IsExist(err) {
				t.Fatal(err)
			}
			pipe, err := os.Open(marker)
			if err != nil {
				t.Fatal(err)
			}
			pipe.Close()
			one(t, line+"\n    #0 main")
			if err := s.Stop(); err != nil {
				t.Fatal(err)
			}
			one(t, "") // reported once
		})
	}
}

func TestAReportAtTheEndIsAProblem(t *testing.T) {
	s := fake(t, "", "echo \"==1==ERROR: LeakSanitizer: detected memory leaks\";")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	s.Remove() // what the log said is known by now
	one(t, "LeakSanitizer: detected memory leaks")
}

func TestAnUnaskedEndIsAProblem(t *testing.T) {
	s := fake(t, "echo my last words", "")
	_ = syscall.Kill(s.Pid, syscall.SIGABRT)
	<-s.Exited()
	s.Kill()
	one(t, "aborted")
	expected := fakeWith(t, Options{MayEnd: true}, "", "")
	_ = syscall.Kill(expected.Pid, syscall.SIGABRT)
	<-expected.Exited()
	one(t, "")
}

func TestAStartThatFailsLeavesNothingBehind(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	if _, err := Launch(Binary{Label: "sluice", Path: "/nonexistent"}, Options{}); err == nil {
		t.Fatal("a program that is not there was started")
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) != 0 {
		t.Fatalf("left behind: %v, %v", left, err)
	}
	one(t, "")
}
