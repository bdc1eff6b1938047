package badinput

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"golang.org/x/net/http2"

	"sluice.test/harness"
)

// silent is how many connections are opened that never send a byte.
const silent = 10_000

// residentKiB is the server's resident memory.
func residentKiB(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", server.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return kib
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

// TestSilentConnections opens 10,000 connections that send nothing. The loopback has 28,000 ports to
// one destination, so one client address is enough.
func TestSilentConnections(t *testing.T) {
	harness.Guard(t)
	before := residentKiB(t)
	conns := make([]net.Conn, 0, silent)
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for len(conns) < silent {
		c, err := net.Dial("tcp", server.Address)
		if err != nil {
			t.Fatalf("after %d connections: %v", len(conns), err)
		}
		conns = append(conns, c)
	}
	serves(t)
	fmt.Printf("bad input: %d silent connections cost %d KiB each\n", silent,
		(residentKiB(t)-before)/silent)
	for _, c := range conns {
		c.Close()
	}
	conns = nil
	serves(t)
}

// TestHalfOpen breaks off in the middle of everything: no goodbye, the other half never closed.
func TestHalfOpen(t *testing.T) {
	harness.Guard(t)
	for i := range 300 {
		s := openSession(t)
		switch i % 3 {
		case 0: // headers promised a body
			_ = s.headers(1, "/etcdserverpb.KV/Put", false)
		case 1: // half a message
			_ = s.headers(1, "/etcdserverpb.KV/Put", false)
			_ = s.framer.WriteData(1, false, []byte{0, 0, 0, 0, 100, 10})
		case 2: // half a frame
			_, _ = s.conn.Write([]byte{0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0})
		}
		if i%2 == 0 {
			// A reset instead of a close: the kernel drops everything at once.
			_ = s.conn.(*net.TCPConn).SetLinger(0)
			s.conn.Close()
		}
	}
	serves(t)
}

// TestSlowWriter sends a valid request one byte at a time; the answer still comes.
func TestSlowWriter(t *testing.T) {
	harness.Guard(t)
	s := openSession(t)
	if err := s.headers(1, "/etcdserverpb.KV/Range", false); err != nil {
		t.Fatal(err)
	}
	message := []byte{0, 0, 0, 0, 3, 0x0a, 1, 'a'}
	for i := range message {
		if err := s.framer.WriteData(1, i == len(message)-1, message[i:i+1]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	for {
		frame, err := s.framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if data, ok := frame.(*http2.DataFrame); ok && len(data.Data()) > 5 {
			return
		}
	}
}

// TestSlowReaders asks for far more than they read: large ranges and a watch behind a window that
// never opens. Others are served, and the server's memory does not hold it all.
func TestSlowReaders(t *testing.T) {
	harness.Guard(t)
	const readers, valueSize, values = 60, 1 << 20, 30
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	kv := pb.NewKVClient(connect(t))
	for i := range values {
		q := &pb.PutRequest{Key: fmt.Appendf(nil, "slow%02d", i), Value: make([]byte, valueSize)}
		if _, err := kv.Put(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	// range_end "slox" of key "slow": all values, 30 MiB an answer.
	request := []byte{0, 0, 0, 0, 12, 0x0a, 4, 's', 'l', 'o', 'w', 0x12, 4, 's', 'l', 'o', 'x'}
	for range readers {
		s := openSession(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 100})
		if err := s.headers(1, "/etcdserverpb.KV/Range", false); err != nil {
			t.Fatal(err)
		}
		if err := s.framer.WriteData(1, true, request); err != nil {
			t.Fatal(err)
		}
	}
	watch, err := pb.NewWatchClient(connect(t)).Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	create := &pb.WatchCreateRequest{Key: []byte("slow"), RangeEnd: []byte("slox")}
	q := &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: create}}
	if err := watch.Send(q); err != nil {
		t.Fatal(err)
	}
	// Watched from now on: only what is put after the answer is sure to be seen.
	if m, err := watch.Recv(); err != nil || !m.Created {
		t.Fatalf("the watch's first answer is %v, %v", m, err)
	}
	for i := range values { // the watcher does not read
		q := &pb.PutRequest{Key: fmt.Appendf(nil, "slow%02d", i), Value: make([]byte, valueSize)}
		if _, err := kv.Put(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	serves(t)
	resident := residentKiB(t) >> 10
	fmt.Printf("bad input: %d readers that do not read %d MiB each: server at %d MiB\n",
		readers, values*valueSize>>20, resident)
	// An etcd makes every answer whole in memory (4 GiB here); the server under test must not.
	asked := readers * values * valueSize >> 20
	if !server.Binary.IsEtcd() && resident > asked/2 {
		t.Errorf("the server holds %d MiB of %d MiB asked for", resident, asked)
	}
	// In the end the watcher reads, and has missed nothing.
	seen := 0
	for seen < values {
		m, err := watch.Recv()
		if err != nil {
			t.Fatal(err)
		}
		seen += len(m.Events)
	}
	if _, err := kv.DeleteRange(ctx, &pb.DeleteRangeRequest{Key: []byte("slow"), RangeEnd: []byte("slox")}); err != nil {
		t.Fatal(err)
	}
}
