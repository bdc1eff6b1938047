package conformance

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

func (r *Run) session(c *clientv3.Client) *concurrency.Session {
	s, err := concurrency.NewSession(c, concurrency.WithTTL(30))
	r.Must(err)
	r.closes = append(r.closes, func() { s.Close() })
	return s
}

// TestSTM moves amounts between accounts from several goroutines at every isolation level.
func TestSTM(t *testing.T) {
	const accounts, workers, moves = 5, 4, 15
	for name, level := range map[string]concurrency.Isolation{
		"serializable snapshot": concurrency.SerializableSnapshot,
		"serializable":          concurrency.Serializable,
		"repeatable reads":      concurrency.RepeatableReads,
	} {
		compare(t, scenario{name, func(r *Run) {
			c := r.Client()
			for i := range accounts {
				_, err := c.Put(r.Ctx, fmt.Sprint("account", i), "100")
				r.Must(err)
			}
			failures := make(chan error, workers*moves)
			var group sync.WaitGroup
			for w := range workers {
				group.Go(func() {
					for m := range moves {
						from, to := fmt.Sprint("account", (w+m)%accounts), fmt.Sprint("account", (w+m+1)%accounts)
						_, err := concurrency.NewSTM(c, func(s concurrency.STM) error {
							var a, b int
							fmt.Sscan(s.Get(from), &a)
							fmt.Sscan(s.Get(to), &b)
							s.Put(from, fmt.Sprint(a-1))
							s.Put(to, fmt.Sprint(b+1))
							return nil
						}, concurrency.WithIsolation(level))
						failures <- err
					}
				})
			}
			group.Wait()
			close(failures)
			for err := range failures {
				r.Must(err)
			}
			// Which move came last is left to chance; how often each account moved is not.
			a, err := c.Get(r.Ctx, "account", clientv3.WithPrefix())
			r.Must(err)
			for _, kv := range a.Kvs {
				r.Note("%s = %s, version %d", kv.Key, kv.Value, kv.Version)
			}
			r.Note("revision +%d", r.Relative(a.Header.Revision))
		}})
	}
	compare(t, scenario{"abort and delete", func(r *Run) {
		c := r.Client()
		stop := errors.New("stop")
		_, err := concurrency.NewSTM(c, func(s concurrency.STM) error {
			s.Put("a", "1")
			return stop
		})
		r.Check(errors.Is(err, stop), "%v", err)
		r.All()
		_, err = concurrency.NewSTM(c, func(s concurrency.STM) error {
			s.Put("a", "1")
			r.Note("own write: %q, revision %d", s.Get("a"), s.Rev("a"))
			s.Del("b")
			return nil
		})
		r.Must(err)
		r.All()
	}})
}

func TestLocks(t *testing.T) {
	compare(t,
		scenario{"one at a time, in order", func(r *Run) {
			c := r.Client()
			const holders = 4
			inside, order := 0, 0
			var group sync.WaitGroup
			failures := make(chan error, holders)
			for range holders {
				session := r.session(c)
				group.Go(func() {
					m := concurrency.NewMutex(session, "/lock")
					if err := m.Lock(r.Ctx); err != nil {
						failures <- err
						return
					}
					inside++
					order += inside // only the lock guards these
					if inside != 1 {
						failures <- fmt.Errorf("%d inside the lock", inside)
					}
					inside--
					failures <- m.Unlock(context.Background())
				})
			}
			group.Wait()
			for range holders {
				r.Must(<-failures)
			}
			r.Note("held %d times", order)
			r.All()
		}},
		scenario{"try lock", func(r *Run) {
			c := r.Client()
			first := concurrency.NewMutex(r.session(c), "/lock")
			second := concurrency.NewMutex(r.session(c), "/lock")
			r.Must(first.TryLock(r.Ctx))
			r.Note("second: %v", second.TryLock(r.Ctx))
			r.Must(first.Unlock(r.Ctx))
			r.Note("second: %v", second.TryLock(r.Ctx))
		}},
		scenario{"the holder's session ends", func(r *Run) {
			c := r.Client()
			session := r.session(c)
			first := concurrency.NewMutex(session, "/lock")
			r.Must(first.Lock(r.Ctx))
			second := concurrency.NewMutex(r.session(c), "/lock")
			got := make(chan error, 1)
			go func() { got <- second.Lock(r.Ctx) }()
			r.Must(session.Close())
			r.Must(<-got)
			r.Check(len(first.Key()) > 0 && first.Key() != second.Key(), "keys %q", first.Key())
			r.Note("handed over")
		}},
		scenario{"canceled while waiting", func(r *Run) {
			c := r.Client()
			first := concurrency.NewMutex(r.session(c), "/lock")
			r.Must(first.Lock(r.Ctx))
			second := concurrency.NewMutex(r.session(c), "/lock")
			ctx, cancel := context.WithCancel(r.Ctx)
			cancel()
			r.Note("%v", second.Lock(ctx))
			a, err := c.Get(r.Ctx, "/lock/", clientv3.WithPrefix(), clientv3.WithCountOnly())
			r.Must(err)
			r.Note("%d waiting", a.Count)
		}},
	)
}

func TestElection(t *testing.T) {
	compare(t, scenario{"campaign, proclaim, observe, resign", func(r *Run) {
		c := r.Client()
		first := concurrency.NewElection(r.session(c), "/election")
		second := concurrency.NewElection(r.session(c), "/election")
		_, err := first.Leader(r.Ctx)
		r.Note("nobody: %v", err)
		r.Must(first.Campaign(r.Ctx, "one"))
		watch, cancel := context.WithCancel(r.Ctx)
		defer cancel()
		seen := second.Observe(watch)
		next := func() string { a := <-seen; return string(a.Kvs[0].Value) }
		r.Note("leader %s", next())
		r.Must(first.Proclaim(r.Ctx, "one again"))
		r.Note("leader %s", next())
		elected := make(chan error, 1)
		go func() { elected <- second.Campaign(r.Ctx, "two") }()
		r.Must(first.Resign(r.Ctx))
		r.Must(<-elected)
		for leader := next(); leader != "two"; leader = next() {
			r.Check(leader == "one again", "leader %q", leader)
		}
		r.Note("leader two")
		r.Note("not leader: %v", first.Proclaim(r.Ctx, "x"))
	}})
}

// TestClientWatch uses clientv3's own watcher, which resumes by itself and merges fragments.
func TestClientWatch(t *testing.T) {
	compare(t, scenario{"prefix, prev_kv and history", func(r *Run) {
		c := r.Client()
		for i := range 20 {
			_, err := c.Put(r.Ctx, fmt.Sprint("k", i%4), fmt.Sprint(i))
			r.Must(err)
		}
		ctx, cancel := r.Timeout()
		defer cancel()
		events := c.Watch(ctx, "k", clientv3.WithPrefix(), clientv3.WithRev(r.Rev(5)), clientv3.WithPrevKV(),
			clientv3.WithFragment(), clientv3.WithCreatedNotify())
		for count := 0; count < 16; {
			m := <-events
			r.Must(m.Err())
			for _, e := range m.Events {
				r.Note("%s +%d %s was %s", e.Kv.Key, r.Relative(e.Kv.ModRevision), e.Kv.Value, e.PrevKv.Value)
				count++
			}
		}
		r.Must(c.RequestProgress(ctx))
		m := <-events
		r.Note("progress %v at +%d", m.IsProgressNotify(), r.Relative(m.Header.Revision))
	}}, scenario{"compacted", func(r *Run) {
		c := r.Client()
		for i := range 5 {
			_, err := c.Put(r.Ctx, "k", fmt.Sprint(i))
			r.Must(err)
		}
		_, err := c.Compact(r.Ctx, r.Rev(4), clientv3.WithCompactPhysical())
		r.Must(err)
		ctx, cancel := r.Timeout()
		defer cancel()
		m := <-c.Watch(ctx, "k", clientv3.WithRev(r.Rev(2)))
		r.Note("%v, compacted at +%d", m.Err(), r.Relative(m.CompactRevision))
	}})
}
