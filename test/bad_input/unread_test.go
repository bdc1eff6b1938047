package badinput

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"golang.org/x/net/http2"
	"google.golang.org/protobuf/proto"

	"sluice.test/harness"
)

// What the server makes of answers for one connection before it waits for the client: 4 MiB and 16
// answers (limits::kHttp2ConnectionPendingBytes, limits::kGrpcUnreadAnswers), and what is on its way
// through the session and the kernel's buffers.
const (
	unreadValue   = 100_000
	unreadCalls   = 1000
	unreadMax     = 4<<20/unreadValue + 16
	unreadOnWay   = 24
	unreadResidue = 48 << 10 // KiB that the process may grow by
)

// TestUnreadAnswers opens calls with large answers and never reads: the server takes up no more of
// them than fit the bound, serves others, and answers every call once the client reads.
func TestUnreadAnswers(t *testing.T) {
	harness.Guard(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	value := bytes.Repeat([]byte("u"), unreadValue)
	kv := pb.NewKVClient(connect(t))
	if _, err := kv.Put(ctx, &pb.PutRequest{Key: []byte("unread"), Value: value}); err != nil {
		t.Fatal(err)
	}
	question, err := proto.Marshal(&pb.RangeRequest{Key: []byte("unread")})
	if err != nil {
		t.Fatal(err)
	}
	message := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(question))), question...)
	const sent = `grpc_server_msg_sent_total{grpc_type="unary",grpc_service="etcdserverpb.KV",grpc_method="Range"}`
	answered := func() int { return metric(t, sent) }
	before, memory := answered(), residentKiB(t)

	s := openSession(t)
	for i := range uint32(unreadCalls) {
		if err := s.headers(2*i+1, "/etcdserverpb.KV/Range", false); err != nil {
			t.Fatal(err)
		}
		if err := s.framer.WriteData(2*i+1, true, message); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.framer.WritePing(false, [8]byte{1}); err != nil {
		t.Fatal(err)
	}
	// Its answer says that all the calls have been read.
	got := map[uint32]int{}
	ended := 0
	for pong := false; !pong; {
		pong = s.take(t, got, &ended)
	}
	made, grown := answered()-before, residentKiB(t)-memory
	if !server.Binary.IsEtcd() {
		if made == 0 || made > unreadMax+unreadOnWay {
			t.Errorf("%d answers of %d were made for a client that reads none, at most %d are allowed",
				made, unreadCalls, unreadMax+unreadOnWay)
		}
		if grown > unreadResidue {
			t.Errorf("%d KiB of unread answers", grown)
		}
	}
	serves(t)
	// It reads after all.
	if err := s.framer.WriteWindowUpdate(0, 1<<30); err != nil {
		t.Fatal(err)
	}
	for i := range uint32(unreadCalls) {
		if err := s.framer.WriteWindowUpdate(2*i+1, 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	for ended < unreadCalls {
		s.take(t, got, &ended)
	}
	for stream, size := range got {
		if size < unreadValue+messagePrefix {
			t.Errorf("stream %d had %d bytes", stream, size)
		}
	}
	if len(got) != unreadCalls {
		t.Errorf("%d calls of %d had an answer", len(got), unreadCalls)
	}
	fmt.Printf("bad input: of %d unread answers %d were made, %d KiB\n", unreadCalls, made, grown)
}

// take reads one frame: payload and ends of streams are counted, true for the answer to a ping.
func (s *session) take(t *testing.T, got map[uint32]int, ended *int) (pong bool) {
	t.Helper()
	frame, err := s.framer.ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	switch f := frame.(type) {
	case *http2.DataFrame:
		got[f.StreamID] += len(f.Data())
	case *http2.HeadersFrame:
		if f.StreamEnded() {
			*ended++
		}
	case *http2.RSTStreamFrame:
		t.Fatalf("stream %d was reset: %v", f.StreamID, f.ErrCode)
	case *http2.GoAwayFrame:
		t.Fatalf("goaway: %v %s", f.ErrCode, f.DebugData())
	case *http2.PingFrame:
		return f.IsAck()
	case *http2.SettingsFrame:
		if !f.IsAck() {
			if err := s.framer.WriteSettingsAck(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return false
}
