package durability

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"sluice.test/harness"
)

// A writer issues numbered operations one after another, each under its own keys. Operation n
// either puts n under one key, or, every third time, puts n under three keys in one txn and deletes
// a fourth. So after a crash exactly one operation can be in doubt: the one without an answer.
type writer struct {
	id    int
	acked []ack // answered operations of this round
	next  int   // the number of the operation to come
	doubt int   // the operation without an answer, 0 if none
}

type ack struct {
	number   int
	revision int64
}

const (
	writerCount = 8
	groupKeys   = 3
)

func isGroup(number int) bool { return number%3 == 0 }

func (w *writer) key(name string) []byte { return fmt.Appendf(nil, "w%d/%s", w.id, name) }

// keysOf are the keys that operation number puts.
func (w *writer) keysOf(number int) []string {
	if !isGroup(number) {
		return []string{string(w.key(fmt.Sprint("single", number%5)))}
	}
	var keys []string
	for i := range groupKeys {
		keys = append(keys, string(w.key(fmt.Sprint("group", i))))
	}
	return keys
}

// valueOf is what operation number puts: longer than a sector, so that every group can be torn.
func valueOf(number int) string {
	return strconv.Itoa(number) + strings.Repeat(".", 600+number%1000)
}

// numberOf is the inverse.
func numberOf(value []byte) (int, bool) {
	digits, _, _ := strings.Cut(string(value), ".")
	number, err := strconv.Atoi(digits)
	return number, err == nil && string(value) == valueOf(number)
}

func (w *writer) request(number int) *pb.TxnRequest {
	q := &pb.TxnRequest{}
	for _, key := range w.keysOf(number) {
		put := &pb.PutRequest{Key: []byte(key), Value: []byte(valueOf(number))}
		q.Success = append(q.Success, &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: put}})
	}
	if isGroup(number) {
		gone := &pb.DeleteRangeRequest{Key: w.key(fmt.Sprint("single", number%5))}
		q.Success = append(q.Success,
			&pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: gone}})
	}
	return q
}

// run writes until the first error, which is what a killed server gives.
func (w *writer) run(ctx context.Context, kv pb.KVClient) {
	w.acked = w.acked[:0]
	w.doubt = 0
	for ctx.Err() == nil {
		number := w.next
		w.next++
		w.doubt = number
		a, err := w.send(ctx, kv, number)
		if err != nil {
			return
		}
		w.doubt = 0
		w.acked = append(w.acked, ack{number, a})
	}
}

func (w *writer) send(ctx context.Context, kv pb.KVClient, number int) (int64, error) {
	q := w.request(number)
	if !isGroup(number) {
		a, err := kv.Put(ctx, q.Success[0].GetRequestPut())
		return a.GetHeader().GetRevision(), err
	}
	a, err := kv.Txn(ctx, q)
	return a.GetHeader().GetRevision(), err
}

// fleet is all writers against one server.
type fleet struct {
	writers []*writer
	conns   []*grpc.ClientConn
	group   sync.WaitGroup
}

func newFleet() *fleet {
	f := &fleet{}
	for id := range writerCount {
		f.writers = append(f.writers, &writer{id: id, next: 1})
	}
	return f
}

// start lets every writer run on its own connection until the server fails or ctx ends.
func (f *fleet) start(ctx context.Context, s *harness.Server) error {
	for _, w := range f.writers {
		conn, err := dial(s)
		if err != nil {
			return err
		}
		f.conns = append(f.conns, conn)
		f.group.Go(func() { w.run(ctx, pb.NewKVClient(conn)) })
	}
	return nil
}

func (f *fleet) wait() {
	f.group.Wait()
	for _, c := range f.conns {
		c.Close()
	}
	f.conns = nil
}

func (f *fleet) acked() (count int) {
	for _, w := range f.writers {
		count += len(w.acked)
	}
	return count
}

func dial(s *harness.Server) (*grpc.ClientConn, error) {
	return grpc.NewClient(s.Address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(256<<20)),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: 5 * time.Second}))
}
