// The lines of bench/vs/README.md in Go.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const unknownLine = 3

type options struct {
	line    string
	workers int
	seconds float64
	count   int
}

type result struct {
	Line     string `json:"line"`
	Ops      int    `json:"ops"`
	WallNs   int64  `json:"wall_ns"`
	CPUNs    int64  `json:"cpu_ns"`
	RSSBytes int64  `json:"rss_bytes"`
}

func main() {
	if len(os.Args) < 2 || strings.HasPrefix(os.Args[1], "-") {
		fmt.Fprintln(os.Stderr, "usage: go LINE [-workers N] [-seconds S] [-count N]")
		os.Exit(2)
	}
	o := options{line: os.Args[1]}
	flags := flag.NewFlagSet("go", flag.ExitOnError)
	flags.IntVar(&o.workers, "workers", 2, "GOMAXPROCS")
	flags.Float64Var(&o.seconds, "seconds", 0.5, "how long a line runs at least")
	flags.IntVar(&o.count, "count", 1_000_000, "how many tasks are parked")
	flags.Parse(os.Args[2:])
	runtime.GOMAXPROCS(o.workers)

	lines := map[string]func(n int){
		"switch":          switches,
		"yield-2":         func(n int) { yields(n, 2) },
		"yield-1000":      func(n int) { yields(n, 1000) },
		"spawn":           func(n int) { spawns(n, 1) },
		"spawn-100":       func(n int) { spawns(n, 100) },
		"unbuffered":      unbuffered,
		"buffered":        buffered,
		"select":          selects,
		"mutex":           mutex,
		"mutex-contended": contendedMutex,
		"timer":           timers,
		"context":         contexts,
		"pool":            pool,
	}
	switch run, known := lines[o.line]; {
	case known:
		measure(o, run)
	case o.line == "parked":
		parked(o)
	case o.line == "sockets":
		sockets(o)
	case o.line == "echo":
		echo()
	default:
		os.Exit(unknownLine)
	}
}

// measure runs body, which does n operations, with growing n until it takes o.seconds.
func measure(o options, body func(n int)) {
	wanted := time.Duration(o.seconds * float64(time.Second))
	for n := 1000; ; {
		start, cpu := time.Now(), cpuNs()
		body(n)
		wall, used := time.Since(start), cpuNs()-cpu
		if wall >= wanted {
			print(result{o.line, n, wall.Nanoseconds(), used, rssBytes()})
			return
		}
		growth := 1.2 * float64(wanted) / float64(max(wall, 1))
		n = int(float64(n) * min(max(growth, 1.1), 100))
	}
}

func print(r result) {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}

func cpuNs() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func rssBytes() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(err)
	}
	var total, resident int64
	fmt.Sscan(string(text), &total, &resident)
	return resident * int64(os.Getpagesize())
}
