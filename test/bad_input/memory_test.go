package badinput

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"golang.org/x/net/http2"

	"sluice.test/harness"
)

// many is how many connections are opened that say nothing, or break off and say no more.
const many = 10_000

const (
	openCount     = "sluice_connections_open"
	acceptedCount = "sluice_connections_accepted_total"
)

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

// metric is the value of one of the server's counters or gauges; 0 from an etcd, which has not ours.
func metric(t *testing.T, name string) int {
	t.Helper()
	if server.Binary.IsEtcd() {
		return 0
	}
	answer, err := http.Get("http://" + server.Address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := bytes.Cut(text, []byte("\n"+name+" "))
	if !found {
		t.Fatalf("/metrics has no %s", name)
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	value, err := strconv.ParseFloat(string(line), 64)
	if err != nil {
		t.Fatal(err)
	}
	return int(value)
}

// calls puts and reads on one connection until it is stopped.
type calls struct {
	cancel context.CancelFunc
	served chan int // how many calls were answered, once it has stopped
	failed chan error
}

func startCalls(t *testing.T) *calls {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &calls{cancel, make(chan int, 1), make(chan error, 1)}
	kv := pb.NewKVClient(connect(t))
	go func() {
		served := 0
		defer func() { c.served <- served }()
		for ; ctx.Err() == nil; served += 2 {
			key := fmt.Appendf(nil, "meanwhile%d", served%100)
			call, end := context.WithTimeout(context.Background(), patience)
			_, err := kv.Put(call, &pb.PutRequest{Key: key, Value: key})
			if err == nil {
				_, err = kv.Range(call, &pb.RangeRequest{Key: key})
			}
			end()
			if err != nil {
				c.failed <- err
				return
			}
		}
	}()
	return c
}

// stop fails the test unless every call was answered, and there were any.
func (c *calls) stop(t *testing.T) int {
	t.Helper()
	c.cancel()
	served := <-c.served
	select {
	case err := <-c.failed:
		t.Errorf("after %d small calls: %v", served, err)
	default:
	}
	if served == 0 {
		t.Error("no small call was answered meanwhile")
	}
	return served
}

// crowd opens many connections, says `first` on each, and requires that the server holds them all
// with no more than bytesMax of memory each, while it serves others.
func crowd(t *testing.T, what string, bytesMax int, first func(i int) []byte) {
	t.Helper()
	serves(t)
	others, accepted := metric(t, openCount), metric(t, acceptedCount)
	before := residentKiB(t)
	meanwhile := startCalls(t)
	conns := make([]net.Conn, 0, many)
	closeAll := func() {
		for _, c := range conns {
			_ = c.(*net.TCPConn).SetLinger(0) // no 10,000 ports in TIME_WAIT
			c.Close()
		}
		conns = nil
	}
	defer closeAll()
	for i := range many {
		c, err := net.Dial("tcp", server.Address)
		if err != nil {
			t.Fatalf("after %d connections: %v", i, err)
		}
		conns = append(conns, c)
		if _, err := c.Write(first(i)); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
	// The kernel connects before the server accepts.
	until(t, "the server has accepted all", func() bool {
		return metric(t, acceptedCount) >= accepted+many || server.Binary.IsEtcd()
	})
	serves(t)
	each := (residentKiB(t) - before) * 1024 / many
	served := meanwhile.stop(t)
	fmt.Printf("bad input: %d %s connections cost %d bytes each, %d small calls served meanwhile\n",
		many, what, each, served)
	if !server.Binary.IsEtcd() && server.Binary.Sanitizer() == "" && each > bytesMax {
		t.Errorf("%d bytes for each %s connection, at most %d are good", each, what, bytesMax)
	}
	closeAll()
	const ours = 10 // those of serves() and of metric() itself
	until(t, "the server has closed all", func() bool { return metric(t, openCount) <= others+ours })
	serves(t)
}

// until waits for what the server does by itself and tells only when asked.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// TestSilentConnections opens 10,000 connections that send nothing. The loopback has 28,000 ports to
// one destination, so one client address is enough.
func TestSilentConnections(t *testing.T) {
	harness.Guard(t)
	crowd(t, "silent", 2<<10, func(int) []byte { return nil })
}

// TestStalledConnections opens 10,000 that break off in the middle of something and stay: their
// owners have crashed or lost the network, and no FIN ever comes.
func TestStalledConnections(t *testing.T) {
	harness.Guard(t)
	put := requestBytes(t, "/etcdserverpb.KV/Put", []byte{0, 0, 0, 0, 100, 10})
	stalls := [][]byte{
		[]byte(http2.ClientPreface[:10]),
		[]byte("GET /health HTTP/1.1\r\nHost: x\r\nX-Lon"),
		[]byte("POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf"),
		put[:len(put)-20], // in the headers
		put,               // in the message
	}
	crowd(t, "stalled", 4<<10, func(i int) []byte { return stalls[i%len(stalls)] })
}

// requestBytes is what a client sends that opens a connection and a call, and sends this of it.
func requestBytes(t *testing.T, method string, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	out.WriteString(http2.ClientPreface)
	s := &session{framer: http2.NewFramer(&out, nil)}
	if err := s.framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	if err := s.headers(1, method, false); err != nil {
		t.Fatal(err)
	}
	if err := s.framer.WriteData(1, false, data); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
