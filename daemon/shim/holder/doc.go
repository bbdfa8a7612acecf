// Package holder is the holder's end of a shim: a process that starts one program, owns it, and writes down how it ends,
// whatever happens to the daemon meanwhile. Package protocol has what it reads and writes.
//
// It is done when nothing of the program's tree is left (or when the program has ended, if that may leave children behind).
// It dies of no signal that it can catch.
//
// # Design
//
// Each running command has one of these, so it links neither fmt nor encoding/json, and is told by its
// environment (GOGC, GOMAXPROCS: see package shim) to keep its heap small. The program writes to the log files itself:
// no pipe breaks when somebody dies, and output costs nothing here.
//
// One goroutine owns all state; the kernel tells it of ends (SIGCHLD), of writes (SIGIO, by dnotify) and of commands (a FIFO). As
// only that goroutine waits for children and only it sends signals, no number can be reused between the look and the signal
// for a child of ours; deeper ones are pinned (package proc). Where nothing happens, nothing runs.
//
// Where the spec names a control group, the program is started in it, and one word to the kernel ends the tree, without a look at every process
// of the machine. That it is empty is still told by the ends of our children: there is nothing to hear it from
// sooner.
//
// What nobody waits for ("child", room for "exit") is written a moment after the start: on two processors it kept the daemon from
// hearing of the start, and the program from running, for half a millisecond.
//
// Rejected: a thread that blocks in wait4 (needs locks between it and whoever kills); signal.Ignore (what is ignored stays
// ignored in the program, which then cannot be ended by SIGTERM); to sync "started" beside something else (no gain was to
// be measured on two cores: what there is to do is in the way of the sync); a group kill for SIGTERM (the walk reaches the group too, and
// programs take a second SIGTERM for impatience).
package holder
