package main

import (
	"iter"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// switches: iter.Pull is Go's bare switch; a call of next goes to the other side and back.
func switches(n int) {
	next, stop := iter.Pull(func(yield func(int) bool) {
		for yield(0) {
		}
	})
	defer stop()
	for i := 0; i < n; i += 2 {
		next()
	}
}

func yields(n, tasks int) {
	var wg sync.WaitGroup
	for range tasks {
		wg.Go(func() {
			for range n / tasks {
				runtime.Gosched()
			}
		})
	}
	wg.Wait()
}

func spawns(n, batch int) {
	var wg sync.WaitGroup
	for i := 0; i < n; i += batch {
		for range batch {
			wg.Go(func() {})
		}
		wg.Wait()
	}
}

func parked(o options) {
	before, start, cpu := rssBytes(), time.Now(), cpuNs()
	var wg sync.WaitGroup
	var started atomic.Int64
	stop := make(chan struct{})
	for range o.count {
		wg.Go(func() {
			started.Add(1)
			<-stop
		})
	}
	for started.Load() < int64(o.count) {
		runtime.Gosched()
	}
	print(result{o.line, o.count, time.Since(start).Nanoseconds(), cpuNs() - cpu,
		rssBytes() - before})
	close(stop)
	wg.Wait()
}
