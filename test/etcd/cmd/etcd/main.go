// Command etcd is the released etcd server, built from our own go.mod: the reference that every
// test under test/ compares Sluice with.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}
