// small_files DIR MODE PASSES: the modes of ../main.cc, as Go programs do them. each: a goroutine a
// file; pool: as many goroutines as the first field report's, from a channel.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const poolWorkers = 12

type pass struct {
	wall, cpu    float64
	tasks, bytes int64
}

func cpuTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func read(path string, bytes *atomic.Int64) {
	data, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	bytes.Add(int64(len(data)))
}

func loop(paths []string, bytes *atomic.Int64) int64 {
	for _, path := range paths {
		read(path, bytes)
	}
	return 0
}

func each(paths []string, bytes *atomic.Int64) int64 {
	var all sync.WaitGroup
	for _, path := range paths {
		all.Add(1)
		go func() {
			defer all.Done()
			read(path, bytes)
		}()
	}
	all.Wait()
	return int64(len(paths))
}

func pool(paths []string, bytes *atomic.Int64) int64 {
	jobs := make(chan string, 512)
	var all sync.WaitGroup
	for range poolWorkers {
		all.Add(1)
		go func() {
			defer all.Done()
			for path := range jobs {
				read(path, bytes)
			}
		}()
	}
	for _, path := range paths {
		jobs <- path
	}
	close(jobs)
	all.Wait()
	return poolWorkers
}

func main() {
	modes := map[string]func([]string, *atomic.Int64) int64{"loop": loop, "each": each, "pool": pool}
	if len(os.Args) != 4 || modes[os.Args[2]] == nil {
		fmt.Fprintln(os.Stderr, "usage: small_files DIR loop|each|pool PASSES")
		os.Exit(2)
	}
	paths, err := filepath.Glob(filepath.Join(os.Args[1], "*"))
	if err != nil {
		panic(err)
	}
	count, err := strconv.Atoi(os.Args[3])
	if err != nil {
		panic(err)
	}
	var passes []pass
	for i := 0; i <= count; i++ {
		var bytes atomic.Int64
		start, cpu := time.Now(), cpuTime()
		tasks := modes[os.Args[2]](paths, &bytes)
		taken := pass{float64(time.Since(start)) / 1e6, float64(cpuTime()-cpu) / 1e6, tasks, bytes.Load()}
		if i > 0 {
			passes = append(passes, taken)
		}
	}
	sort.Slice(passes, func(a, b int) bool { return passes[a].wall < passes[b].wall })
	m := passes[len(passes)/2]
	fmt.Printf("{\"wall_ms\": %.2f, \"cpu_ms\": %.2f, \"tasks\": %d, \"bytes\": %d}\n", m.wall, m.cpu, m.tasks, m.bytes)
}
