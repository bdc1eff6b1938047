package badinput

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"sluice.test/harness"
)

// A store of hugePairs * hugeValue bytes, which every huge call asks for as a whole.
const (
	hugePairs   = 1600
	hugeValue   = 16 << 10
	hugeCallers = 2
	hugeEnds    = 6 // so long the small calls go on
	// Small calls for each huge one that ends meanwhile: a server that lets a huge call run to its end
	// first has one or less.
	smallPerHuge = 8
)

// TestSmallCallsBesideHugeOnes does small gets on one connection while others read the whole store
// over and over, as ranges or as a watch's history. A small call must never wait for the huge ones
// to end: while it runs, each of the others ends at most one or two.
func TestSmallCallsBesideHugeOnes(t *testing.T) {
	harness.Guard(t)
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	kv := pb.NewKVClient(connect(t))
	wipe := &pb.DeleteRangeRequest{Key: []byte("huge/"), RangeEnd: []byte("huge0")}
	begin := int64(0)
	for i := range hugePairs {
		a, err := kv.Put(ctx, &pb.PutRequest{Key: fmt.Appendf(nil, "huge/%d", i), Value: make([]byte, hugeValue)})
		if err != nil {
			t.Fatal(err)
		}
		if begin == 0 {
			begin = a.Header.Revision
		}
	}
	t.Cleanup(func() { _, _ = kv.DeleteRange(context.Background(), wipe) })

	loads := map[string]func(context.Context) error{
		"ranges": func(ctx context.Context) error {
			a, err := pb.NewKVClient(connect(t)).Range(ctx, &pb.RangeRequest{Key: wipe.Key, RangeEnd: wipe.RangeEnd})
			if err == nil && len(a.Kvs) != hugePairs {
				err = fmt.Errorf("%d pairs", len(a.Kvs))
			}
			return err
		},
		"watch histories": func(ctx context.Context) error {
			rpc, err := pb.NewWatchClient(connect(t)).Watch(ctx)
			if err != nil {
				return err
			}
			create := &pb.WatchCreateRequest{Key: wipe.Key, RangeEnd: wipe.RangeEnd, StartRevision: begin}
			err = rpc.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: create}})
			for events := 0; err == nil && events < hugePairs; {
				var a *pb.WatchResponse
				a, err = rpc.Recv()
				events += len(a.GetEvents())
			}
			return err
		},
	}
	for name, load := range loads {
		t.Run(name, func(t *testing.T) {
			var ended atomic.Int64
			loaded, stop := context.WithCancel(ctx)
			var group sync.WaitGroup
			for range hugeCallers {
				group.Go(func() {
					for loaded.Err() == nil {
						if err := load(loaded); err == nil {
							ended.Add(1)
						} else if loaded.Err() == nil {
							t.Error(err)
							return
						}
					}
				})
			}
			for ended.Load() == 0 && !t.Failed() && ctx.Err() == nil {
				time.Sleep(time.Millisecond)
			}
			overtaken := gets(t, ctx, kv, &ended)
			stop()
			group.Wait()
			slices.Sort(overtaken)
			p99 := overtaken[len(overtaken)*99/100]
			if p99 > hugeCallers {
				t.Errorf("one small get in a hundred saw %d huge calls end, of %d callers", p99, hugeCallers)
			}
			if len(overtaken) < smallPerHuge*hugeEnds {
				t.Errorf("%d small gets while %d huge calls ended", len(overtaken), hugeEnds)
			}
			fmt.Printf("bad input: %d small gets while %d %s of %d MB ended, %d during one of them at most\n",
				len(overtaken), hugeEnds, name, hugePairs*hugeValue>>20, overtaken[len(overtaken)-1])
		})
	}
}

// gets does small calls, one after another, until hugeEnds more of the others have ended; for each
// it returns how many ended while it ran.
func gets(t *testing.T, ctx context.Context, kv pb.KVClient, ended *atomic.Int64) (overtaken []int64) {
	t.Helper()
	for last := ended.Load() + hugeEnds; ended.Load() < last; {
		before := ended.Load()
		a, err := kv.Range(ctx, &pb.RangeRequest{Key: []byte("huge/1"), KeysOnly: true})
		if err != nil || len(a.Kvs) != 1 {
			t.Fatalf("%v, %v", a, err)
		}
		overtaken = append(overtaken, ended.Load()-before)
	}
	return overtaken
}
