// Command durable-shim holds one program, so that the program outlives the daemon that started it.
//
// # Design
//
// Wiring only: what it does is in package holder. It is no mode of durabled, because each running command has one, and
// a process pays for every package that is linked into it.
package main

import (
	"os"

	"durable/daemon/shim/holder"
)

func main() { os.Exit(holder.Main(os.Args[1:])) }
