// Package harness starts the servers that the tests talk to, and makes two servers' answers
// comparable. It knows nothing of how a server works: a server is a binary that takes etcd's flags
// and logs "ready to serve client requests".
//
// Environment: SLUICE_BIN (default build/release/sluice) is the server under test, ETCD_BIN
// (default build/test/etcd/etcd, then etcd from PATH) the reference. SLUICE_BIN may itself be an
// etcd: then the tests prove themselves. SLUICE_FLAGS adds flags to the server under test.
package harness

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	readyLine    = "ready to serve client requests"
	startTimeout = 30 * time.Second
	stopTimeout  = 15 * time.Second
)

// Binary names one server program and how it wants to be called.
type Binary struct {
	Label string // "sluice" or "etcd", in messages
	Path  string
}

// Root is the repository's root.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// Subject is the server under test.
func Subject() Binary {
	path := os.Getenv("SLUICE_BIN")
	if path == "" {
		path = filepath.Join(Root(), "build", "release", "sluice")
	}
	return Binary{Label: "sluice", Path: absolute(path)}
}

// Reference is the real etcd.
func Reference() Binary {
	path := os.Getenv("ETCD_BIN")
	if path == "" {
		path = filepath.Join(Root(), "build", "test", "etcd", "etcd")
		if _, err := os.Stat(path); err != nil {
			if found, err := exec.LookPath("etcd"); err == nil {
				path = found
			}
		}
	}
	return Binary{Label: "etcd", Path: absolute(path)}
}

// absolute resolves a relative path against the repository's root, so that `go test`, which runs
// in the package's folder, and a shell at the root mean the same file.
func absolute(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(Root(), path)
}

// IsEtcd says whether it is an etcd, by its name.
func (b Binary) IsEtcd() bool { return strings.HasPrefix(filepath.Base(b.Path), "etcd") }

// Server is one running server process.
type Server struct {
	Binary  Binary
	Address string // host:port of the client listener
	DataDir string
	LogPath string
	Pid     int

	cmd    *exec.Cmd
	health *health
	exited chan struct{} // closed once the process is gone; err is set before
	err    error
}

// Options of a start. The zero value starts on a fresh temporary directory and a free port.
type Options struct {
	DataDir string   // "" = a new temporary directory, removed by Remove
	Address string   // "" = a free port; set it to restart at the same place
	Flags   []string // added after the harness's own flags
	Env     []string // added to the environment
	MayEnd  bool     // by itself, as under an injected fault: then Guard does not report that
}

// Start runs the server and returns once it logs that it serves.
func Start(b Binary, o Options) (*Server, error) {
	s, err := Launch(b, o)
	if err != nil {
		return nil, err
	}
	if err := s.waitReady(startTimeout); err != nil {
		s.Kill()
		return nil, fmt.Errorf("%s: %w; its log: %s", b.Label, err, s.LogTail(2000))
	}
	return s, nil
}

// Launch runs the server without waiting for it to serve.
func Launch(b Binary, o Options) (*Server, error) {
	s := &Server{Binary: b, Address: o.Address, DataDir: o.DataDir, exited: make(chan struct{})}
	if s.DataDir == "" {
		dir, err := os.MkdirTemp("", "sluice-test-"+b.Label+"-")
		if err != nil {
			return nil, err
		}
		s.DataDir = filepath.Join(dir, "data")
	}
	if s.Address == "" {
		s.Address = FreeAddress()
	}
	s.LogPath = s.DataDir + ".log"
	log, err := os.OpenFile(s.LogPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.cmd = exec.Command(b.Path, s.arguments(o)...)
	s.cmd.Env = append(append(os.Environ(), sanitizerEnvironment()...), o.Env...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	// A test binary that is killed must not leave its servers behind.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if _, err := log.WriteString(startMark + "\n"); err != nil {
		return nil, err
	}
	if s.health, err = follow(b.Label, s.LogPath); err != nil {
		return nil, err
	}
	if o.MayEnd {
		s.health.expectEnd()
	}
	if err := s.cmd.Start(); err != nil {
		s.health.expectEnd()
		s.health.processEnded(nil)
		if o.DataDir == "" {
			s.Remove()
		}
		return nil, err
	}
	s.Pid = s.cmd.Process.Pid
	go func() {
		s.err = s.cmd.Wait()
		s.health.processEnded(s.err)
		close(s.exited)
	}()
	return s, nil
}

const startMark = "--- start ---"

func (s *Server) arguments(o Options) []string {
	url := "http://" + s.Address
	args := []string{
		"--name", "default", "--data-dir", s.DataDir,
		"--listen-client-urls", url, "--advertise-client-urls", url,
	}
	if s.Binary.IsEtcd() {
		peer := "http://" + FreeAddress()
		args = append(args, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
			"--initial-cluster", "default="+peer)
	} else {
		args = append([]string{"serve"}, args...)
	}
	if s.Binary.Label == "sluice" {
		args = append(args, strings.Fields(os.Getenv("SLUICE_FLAGS"))...)
	}
	return append(args, o.Flags...)
}

// waitReady follows the log until the ready line of this start shows up.
func (s *Server) waitReady(limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for {
		if strings.Contains(s.logSinceStart(), readyLine) {
			return nil
		}
		select {
		case <-s.exited:
			return fmt.Errorf("exited before it served: %v", s.err)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no %q within %v", readyLine, limit)
		}
	}
}

func (s *Server) logSinceStart() string {
	text, err := os.ReadFile(s.LogPath)
	if err != nil {
		return ""
	}
	log := string(text)
	return log[strings.LastIndex(log, startMark)+len(startMark):]
}

// LogTail returns the last bytes of the server's log.
func (s *Server) LogTail(bytes int) string {
	log := s.logSinceStart()
	if len(log) > bytes {
		log = log[len(log)-bytes:]
	}
	return log
}

// Alive says whether the process still runs.
func (s *Server) Alive() bool {
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// EndsSoon is for a server that fails its clients: they hear of its end before its exit is known.
func (s *Server) EndsSoon() bool {
	select {
	case <-s.exited:
		return true
	case <-time.After(5 * time.Second):
		return false
	}
}

// Exited is closed once the process is gone.
func (s *Server) Exited() <-chan struct{} { return s.exited }

// ExitError is what the process ended with; only valid after Exited is closed.
func (s *Server) ExitError() error { return s.err }

// Signal sends a signal that the server is to survive.
func (s *Server) Signal(sig os.Signal) error { return s.cmd.Process.Signal(sig) }

// Kill ends the process with SIGKILL and waits until it is gone.
func (s *Server) Kill() {
	s.health.expectEnd()
	_ = s.cmd.Process.Signal(syscall.SIGKILL)
	<-s.exited
}

// ExitStatus is how the process ended; only valid after Exited is closed.
func (s *Server) ExitStatus() (syscall.WaitStatus, bool) {
	var exit *exec.ExitError
	if !errors.As(s.err, &exit) {
		return 0, false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return status, ok
}

// Stop ends the process with SIGTERM; an error says that it did not end cleanly and in time.
func (s *Server) Stop() error {
	if !s.Alive() {
		return fmt.Errorf("%s was already gone: %v; its log: %s", s.Binary.Label, s.err, s.LogTail(2000))
	}
	s.health.expectEnd()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(stopTimeout):
		s.Kill()
		return fmt.Errorf("%s: SIGTERM did not end it within %v", s.Binary.Label, stopTimeout)
	}
	// etcd ends by sending itself the signal again, so death by SIGTERM is clean too.
	if status, ok := s.ExitStatus(); ok && status.Signal() == syscall.SIGTERM {
		return nil
	}
	return s.err
}

// Remove deletes the data directory and the log; the process must be gone.
func (s *Server) Remove() {
	_ = os.RemoveAll(s.DataDir)
	_ = os.Remove(s.LogPath)
	_ = os.Remove(filepath.Dir(s.DataDir)) // only if it is ours and now empty
}

// Version is what `binary --version` prints, "3.7.3" for an etcd.
func (b Binary) Version() string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, b.Path, "--version").Output()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(out), "\n")
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return ""
	}
	return fields[len(fields)-1]
}

// FreeAddress is a loopback address that nobody listens on right now.
func FreeAddress() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().String()
}
