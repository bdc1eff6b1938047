package badinput

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"sluice.test/harness"
)

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

// TestSlowWriters lets 200 clients send a request each, one byte in turn: half of them HTTP/1, half
// from HTTP/2's preface to the message. Meanwhile others are served, and in the end all of them.
func TestSlowWriters(t *testing.T) {
	harness.Guard(t)
	const writers = 200
	http1 := []byte("GET /version HTTP/1.1\r\nHost: x\r\nX-Slow: yes\r\n\r\n")
	// The end of the stream is an empty DATA frame, so that it too is cut.
	http2Call := append(requestBytes(t, "/etcdserverpb.KV/Range", []byte{0, 0, 0, 0, 3, 0x0a, 1, 'a'}),
		0, 0, 0, byte(http2.FrameData), byte(http2.FlagDataEndStream), 0, 0, 0, 1)
	meanwhile := startCalls(t)
	conns := make([]net.Conn, writers)
	for i := range conns {
		conns[i] = dialRaw(t)
		_ = conns[i].SetDeadline(time.Now().Add(3 * patience))
	}
	for at := range max(len(http1), len(http2Call)) {
		for i, c := range conns {
			text := http1
			if i%2 == 1 {
				text = http2Call
			}
			if at >= len(text) {
				continue
			}
			if _, err := c.Write(text[at : at+1]); err != nil {
				t.Fatalf("client %d, byte %d: %v", i, at, err)
			}
		}
	}
	for i, c := range conns {
		if i%2 == 0 {
			answer, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || answer.StatusCode != http.StatusOK {
				t.Fatalf("client %d: %v, %v", i, answer, err)
			}
			continue
		}
		s := &session{c, http2.NewFramer(c, c)}
		if bytes, err := s.readAnswer(1); err != nil || bytes <= messagePrefix {
			t.Fatalf("client %d: %d bytes, %v", i, bytes, err)
		}
	}
	fmt.Printf("bad input: %d slow writers answered, %d small calls served meanwhile\n",
		writers, meanwhile.stop(t))
}

const messagePrefix = 5 // bytes before each message of gRPC

// readAnswer reads to the end of a stream; it returns how many bytes of DATA it had. A gRPC status
// other than OK is an error.
func (s *session) readAnswer(stream uint32) (bytes int, err error) {
	decoder := hpack.NewDecoder(4096, nil)
	for {
		frame, err := s.framer.ReadFrame()
		if err != nil {
			return bytes, err
		}
		if frame.Header().StreamID != stream {
			continue
		}
		switch f := frame.(type) {
		case *http2.DataFrame:
			bytes += len(f.Data())
		case *http2.RSTStreamFrame:
			return bytes, fmt.Errorf("reset: %v", f.ErrCode)
		case *http2.HeadersFrame:
			fields, err := decoder.DecodeFull(f.HeaderBlockFragment())
			if err != nil {
				return bytes, err
			}
			if !f.StreamEnded() {
				continue
			}
			for _, field := range fields {
				if field.Name == "grpc-status" && field.Value == "0" {
					return bytes, nil
				}
			}
			return bytes, fmt.Errorf("the stream ended with %v", fields)
		}
	}
}

// TestSlowReaders asks for far more than they read: large ranges behind a window of HTTP/2 that never
// opens, or behind a full socket, and a watch. Others are served, the server's memory does not hold
// it all, and who reads in the end misses nothing.
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
	sessions := make([]*session, readers)
	for i := range sessions {
		window := uint32(100)
		if i%2 == 0 {
			window = 1 << 30 // HTTP/2 lets all of it come, but nobody reads the socket
		}
		s := openSession(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
		sessions[i] = s
		if err := s.framer.WriteWindowUpdate(0, 1<<30); err != nil {
			t.Fatal(err)
		}
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
	// An etcd makes every answer whole in memory (4 GiB here); the server under test must not. The
	// address sanitizer keeps freed memory back and pads the rest, the thread sanitizer has four
	// bytes of its own for each of the server's.
	asked := readers * values * valueSize >> 20
	bar := map[string]int{"": asked / 2, "undefined": asked / 2, "address": asked * 4 / 5, "thread": 4 * asked}
	if !server.Binary.IsEtcd() && resident > bar[server.Binary.Sanitizer()] {
		t.Errorf("the server holds %d MiB of %d MiB asked for", resident, asked)
	}
	// Whoever was not refused for want of memory gets it all.
	refused, bytes := 0, 0
	for i := 0; i < readers; i += 2 {
		_ = sessions[i].conn.SetDeadline(time.Now().Add(3 * patience))
		if bytes, err = sessions[i].readAnswer(1); err == nil {
			break
		}
		refused++
	}
	if err != nil || bytes < values*valueSize {
		t.Errorf("%d refused, of an answer of %d MiB %d bytes came: %v", refused, values*valueSize>>20, bytes, err)
	}
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

// TestSlowHTTP1Reader asks for /metrics again and again on one connection and reads nothing: the
// server stops taking requests before the answers fill its memory. Then all answers are read.
func TestSlowHTTP1Reader(t *testing.T) {
	harness.Guard(t)
	const requests = 2000
	conn := dialRaw(t)
	before := residentKiB(t)
	stalled := make(chan struct{})
	go func() { // blocks once the server reads no more
		defer close(stalled)
		for range requests {
			if _, err := io.WriteString(conn, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				return
			}
		}
	}()
	for range 20 {
		serves(t)
	}
	grown := (residentKiB(t) - before) >> 10
	reader := bufio.NewReader(conn)
	bytes := int64(0)
	for i := range requests {
		_ = conn.SetDeadline(time.Now().Add(patience))
		answer, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		n, err := io.Copy(io.Discard, answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("answer %d: %s, %v", i, answer.Status, err)
		}
		bytes += n
	}
	<-stalled
	fmt.Printf("bad input: %d MiB of unread HTTP/1 answers, the server grew by %d MiB\n", bytes>>20, grown)
	if !server.Binary.IsEtcd() && server.Binary.Sanitizer() == "" && int64(grown) > bytes>>22 {
		t.Errorf("the server grew by %d MiB for %d MiB of answers", grown, bytes>>20)
	}
}
