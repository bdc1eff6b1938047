package main

import (
	"context"
	"sync"
	"time"
)

func unbuffered(n int) {
	there, back := make(chan int), make(chan int)
	go func() {
		for message := range there {
			back <- message
		}
	}()
	for i := range n {
		there <- i
		if <-back != i {
			panic("another message")
		}
	}
	close(there)
}

func buffered(n int) {
	channel := make(chan int, 1024)
	go func() {
		for i := range n {
			channel <- i
		}
		close(channel)
	}()
	received := 0
	for range channel {
		received++
	}
	if received != n {
		panic("another number of messages")
	}
}

func selects(n int) {
	there, back, never := make(chan int), make(chan int), make(chan int)
	go func() {
		for {
			select {
			case message, open := <-there:
				if !open {
					return
				}
				back <- message
			case <-never:
				return
			}
		}
	}()
	for i := range n {
		there <- i
		select {
		case message := <-back:
			if message != i {
				panic("another message")
			}
		case <-never:
			return
		}
	}
	close(there)
}

func mutex(n int) {
	var mu sync.Mutex
	for range n {
		mu.Lock()
		mu.Unlock()
	}
}

func contendedMutex(n int) {
	const tasks = 8
	var mu sync.Mutex
	var wg sync.WaitGroup
	count := 0
	for range tasks {
		wg.Go(func() {
			for range n / tasks {
				mu.Lock()
				count++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if count != n/tasks*tasks {
		panic("another count")
	}
}

var otherTimers []*time.Timer

func timers(n int) {
	for len(otherTimers) < 10_000 {
		otherTimers = append(otherTimers, time.AfterFunc(time.Hour, func() {}))
	}
	for range n {
		if !time.AfterFunc(time.Hour, func() {}).Stop() {
			panic("a timer of an hour has run")
		}
	}
}

func contexts(n int) {
	root, cancelRoot := context.WithCancel(context.Background())
	defer cancelRoot()
	for range n {
		_, cancel := context.WithTimeout(root, time.Hour)
		cancel()
	}
}

var buffers = sync.Pool{New: func() any { return new([16 << 10]byte) }}

func pool(n int) {
	for range n {
		buffer := buffers.Get().(*[16 << 10]byte)
		buffer[0] = 1
		buffers.Put(buffer)
	}
}
