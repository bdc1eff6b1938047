package main

import (
	"net"
	"runtime"
	"sync/atomic"
	"time"
)

// sockets holds o.count idle TCP sockets over the loopback, each read by a goroutine.
func sockets(o options) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	before, start, cpu := rssBytes(), time.Now(), cpuNs()
	var started atomic.Int64
	held := make([]net.Conn, 0, o.count)
	hold := func(connection net.Conn) {
		connection.(*net.TCPConn).SetLinger(0) // a reset instead of TIME_WAIT
		held = append(held, connection)
		go func() {
			var buffer [64]byte
			started.Add(1)
			connection.Read(buffer[:])
		}()
	}
	for len(held) < o.count {
		client, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			panic(err)
		}
		server, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		hold(client)
		hold(server)
	}
	for started.Load() < int64(len(held)) {
		runtime.Gosched()
	}
	print(result{o.line, len(held), time.Since(start).Nanoseconds(), cpuNs() - cpu,
		rssBytes() - before})
	for _, connection := range held {
		connection.Close()
	}
}
