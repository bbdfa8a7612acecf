// Package proc tells processes apart and finds their trees: for the daemon, and for the holder, which is why it links
// nothing but the standard library's os and x/sys.
//
// # Design
//
// A process is a number and a start time, on one boot. Before a signal is sent on Linux, the process is pinned with a
// pidfd, then looked at again, then signalled through the pidfd: if the number was reused before the pin, the second look
// finds a stranger; if it was reused later, the pidfd belongs to the dead. So no look at a start time (whose tick of 10 ms two
// processes can share) has to be trusted alone. Nothing ever signals a number of 1 or less, the caller, or one of the caller's
// ancestors.
//
// Many processes are pinned before the second look, which is one for all of them.
//
// A tree has a root, whose descendants it is (the holder is a subreaper, so that nothing can leave it), or, without a holder,
// it is what has the marks of the attempt in its environment, the program, and the descendants of those. In the middle of an exec a process
// has no environment; on Linux a look waits for that to pass. Where the program was started in a control group (package cgroup), what is in
// that is of the tree too. Rejected: the process
// group (setsid leaves it), a pidfd of each process (a thousand descriptors that tell no more than one).
//
// The identity of a boot is the kernel's boot ID and when process 1 started: containers of one machine share the first.
package proc

import "durable/daemon/shim/protocol"

// Process is a process that a number alone does not name.
type Process = protocol.Process

// Tree says which processes belong together.
type Tree struct {
	// Root is the number of the process whose descendants, without itself, are the tree; 0: there is none, and the tree is
	// Child, what has all Marks in its environment, and what descends from those.
	Root  int
	Child Process
	Marks []string
	// Group is a control group whose processes are of the tree besides, unless the caller is one of them; zero: there is none.
	Group protocol.Group
}
