// Package cgroup gives each program a control group of its own (Linux, cgroup version 2), where the daemon's was handed over to it: all
// that the program starts is in there, whatever it does to its parents, sessions and environments, and ends at one word to the kernel.
// For the daemon, and for the holder, which is why it links nothing but the standard library's os and x/sys.
//
// # Design
//
// Below a control group that nobody has handed over we make nothing: it has one writer, which is the service manager. systemd
// marks one that it hands over (Delegate=yes) with the attribute user.delegate, before that with trusted.delegate, which root
// alone can read; that, and a process that can be started in a group made there, is the proof. Rejected: to take a folder that belongs to us for
// ours (in a user's session all of them do). The daemon stays in its own group and the programs go below it, which
// works because no controllers are enabled for what is below: with them, a service whose programs run on could not be started again (EBUSY).
// What the daemon was told of memory and processors holds for its programs together.
//
// A group is a folder and the number that the kernel gave it: in one boot there is no second one with that, so what is in it needs no other
// proof. Where the caller is in it itself, a daemon that runs inside a task, it is left alone.
//
// Only the program is started in it, the holder is not: else the kernel's word would end the one who has to write down
// the end. A kernel before 5.14 has no such word, then the processes are signalled one by one. There is no failure here but that
// a program runs without a group, as everywhere else.
package cgroup

import "durable/daemon/shim/protocol"

// Group is a control group. The zero value is none: it has no processes, and cannot be killed.
type Group = protocol.Group
