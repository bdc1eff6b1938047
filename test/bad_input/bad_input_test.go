// Package badinput sends what a careless or hostile client sends. After every case the same server,
// never restarted, must still answer a well-behaved client. Counts are asserted, never times.
package badinput

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"sluice.test/harness"
)

// patience is how long anything may take: only a hang takes longer.
var patience = 20 * time.Second

var server *harness.Server

func TestMain(m *testing.M) {
	harness.Main(func() int {
		raiseFileLimit()
		s, err := harness.Start(harness.Subject(), harness.Options{})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		server = s
		if s.Binary.Sanitizer() != "" {
			patience *= 4
		}
		defer s.Remove()
		defer s.Kill()
		code := m.Run()
		if err := s.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "FAIL:", err)
			code = 1
		}
		return code
	})
}

// raiseFileLimit gives this process, and the server it starts, room for 10,000 connections.
func raiseFileLimit() {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = limit.Max
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	}
}

func connect(t *testing.T) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(server.Address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(1<<30), grpc.MaxCallRecvMsgSize(1<<30)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// serves fails the test unless a new client can write and read.
func serves(t *testing.T) {
	t.Helper()
	if !server.Alive() {
		t.Fatalf("the server is gone: %v; its log: %s", server.ExitError(), server.LogTail(3000))
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	kv := pb.NewKVClient(connect(t))
	value := fmt.Append(nil, rand.Uint64())
	if _, err := kv.Put(ctx, &pb.PutRequest{Key: []byte("alive"), Value: value}); err != nil {
		t.Fatal(err)
	}
	a, err := kv.Range(ctx, &pb.RangeRequest{Key: []byte("alive")})
	if err != nil || len(a.Kvs) != 1 || !bytes.Equal(a.Kvs[0].Value, value) {
		t.Fatalf("read back: %v, %v", a, err)
	}
}

func dialRaw(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", server.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestGarbage sends bytes that are no protocol, and protocols that break off.
func TestGarbage(t *testing.T) {
	harness.Guard(t)
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 1<<16)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	preface := http2.ClientPreface
	cases := map[string]string{
		"noise":                     string(noise),
		"zeros":                     string(make([]byte, 1<<16)),
		"preface, then noise":       preface + string(noise),
		"half a preface":            preface[:10],
		"broken preface":            preface[:20] + "XXXX",
		"http/1 with noise":         "GET / HTTP/1.1\r\n" + string(noise),
		"http/1 endless header":     "GET / HTTP/1.1\r\nA: " + string(bytes.Repeat([]byte("a"), 1<<20)),
		"http/1 bad length":         "POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
		"http/1 two lengths":        "POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"http/1 huge length":        "POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"tls hello":                 "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + string(noise[:512]),
		"frame longer than allowed": preface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00" + "\xff\xff\xff\x00\x00\x00\x00\x00\x01",
		"data before headers":       preface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00" + "\x00\x00\x01\x00\x00\x00\x00\x00\x01x",
		"window update of zero":     preface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00" + "\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"unknown frame type":        preface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00" + "\x00\x00\x04\x77\x00\x00\x00\x00\x00abcd",
	}
	for name, bytes := range cases {
		t.Run(name, func(t *testing.T) {
			harness.Guard(t)
			conn := dialRaw(t)
			// The server may hang up in the middle; only that it lives on counts.
			_, _ = io.WriteString(conn, bytes)
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, conn)
			serves(t)
		})
	}
	t.Run("200 connections of noise at once", func(t *testing.T) {
		var group sync.WaitGroup
		for i := range 200 {
			conn := dialRaw(t)
			group.Go(func() {
				_, _ = io.WriteString(conn, preface[:i%25]+string(noise[i*100:i*100+5000]))
				conn.Close()
			})
		}
		group.Wait()
		serves(t)
	})
}

// session is an HTTP/2 connection under our own control.
type session struct {
	conn   net.Conn
	framer *http2.Framer
}

func openSession(t *testing.T, settings ...http2.Setting) *session {
	t.Helper()
	conn := dialRaw(t)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	s := &session{conn, http2.NewFramer(conn, conn)}
	if err := s.framer.WriteSettings(settings...); err != nil {
		t.Fatal(err)
	}
	return s
}

// headers opens a call; end says whether nothing follows.
func (s *session) headers(id uint32, method string, end bool, extra ...hpack.HeaderField) error {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	fields := append([]hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"},
		{Name: ":path", Value: method}, {Name: ":authority", Value: "test"},
		{Name: "content-type", Value: "application/grpc"}, {Name: "te", Value: "trailers"},
	}, extra...)
	for _, f := range fields {
		_ = encoder.WriteField(f)
	}
	return s.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: end,
	})
}

// ended reads until the server says goodbye or hangs up.
func (s *session) ended(t *testing.T) string {
	t.Helper()
	for {
		frame, err := s.framer.ReadFrame()
		if err != nil {
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				t.Fatal("the server neither answered nor hung up")
			}
			return "closed"
		}
		if away, ok := frame.(*http2.GoAwayFrame); ok {
			return "goaway " + away.ErrCode.String()
		}
	}
}

// TestFloods repeats what costs a client nothing: the server may hang up, but not grow or fall.
func TestFloods(t *testing.T) {
	harness.Guard(t)
	const many = 20_000
	floods := map[string]func(s *session, i int) error{
		"pings":          func(s *session, i int) error { return s.framer.WritePing(false, [8]byte{byte(i)}) },
		"settings":       func(s *session, i int) error { return s.framer.WriteSettings() },
		"empty data":     func(s *session, i int) error { return s.framer.WriteData(1, false, nil) },
		"priority":       func(s *session, i int) error { return s.framer.WritePriority(3, http2.PriorityParam{Weight: 1}) },
		"window updates": func(s *session, i int) error { return s.framer.WriteWindowUpdate(0, 1) },
		"continuations": func(s *session, i int) error {
			return s.framer.WriteContinuation(1, false, []byte{0x40, 1, 'a', 1, 'b'})
		},
		"opened and reset": func(s *session, i int) error {
			id := uint32(2*i + 1)
			if err := s.headers(id, "/etcdserverpb.KV/Range", false); err != nil {
				return err
			}
			return s.framer.WriteRSTStream(id, http2.ErrCodeCancel)
		},
	}
	for name, flood := range floods {
		t.Run(name, func(t *testing.T) {
			harness.Guard(t)
			s := openSession(t)
			go func() { _, _ = io.Copy(io.Discard, s.conn) }()
			switch name {
			case "empty data":
				_ = s.headers(1, "/etcdserverpb.Watch/Watch", false)
			case "continuations":
				_ = s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x83}})
			}
			sent := 0
			for ; sent < many && flood(s, sent) == nil; sent++ {
			}
			serves(t)
		})
	}
}

// TestOversized sends more than the limits allow, in requests and in headers.
func TestOversized(t *testing.T) {
	harness.Guard(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	kv := pb.NewKVClient(connect(t))
	for _, size := range []int{3 << 20, 64 << 20} {
		_, err := kv.Put(ctx, &pb.PutRequest{Key: []byte("k"), Value: make([]byte, size)})
		if code := status.Code(err); code != codes.ResourceExhausted && code != codes.InvalidArgument {
			t.Errorf("a put of %d bytes: %v", size, err)
		}
	}
	s := openSession(t)
	_ = s.headers(1, "/etcdserverpb.KV/Range", true, hpack.HeaderField{
		Name: "big", Value: string(bytes.Repeat([]byte("x"), 16<<20)),
	})
	s.ended(t)
	// A message that says it is 4 GiB long, and sends four bytes of it.
	s = openSession(t)
	_ = s.headers(1, "/etcdserverpb.KV/Range", false)
	_ = s.framer.WriteData(1, false, []byte{0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4})
	for answered := false; !answered; {
		frame, err := s.framer.ReadFrame()
		if err != nil {
			t.Fatalf("a message of 4 GiB: %v", err)
		}
		header := frame.Header()
		answered = header.StreamID == 1 && (header.Type == http2.FrameHeaders || header.Type == http2.FrameRSTStream)
	}
	serves(t)
}
