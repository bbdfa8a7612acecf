// Package shim runs programs that outlive the daemon: each under a holder, the executable durable-shim, which owns the program and
// writes down how it ends. This is the daemon's end; package holder is the other one, package protocol what lies between them.
//
// A caller makes its intent durable first (the attempt and its nonce), then calls [Launcher.Start]. After a crash, at any
// point, [Launcher.Recover] says what has become of it:
//
//	lock held                            Running      its holder lives: adopted
//	lock free, exit                      Ended        Wait returns how
//	lock free, no started                NotStarted   and revoked: no holder that comes late starts it
//	no folder                            NotStarted   no process of it is there
//	lock held, no started for 2 s        NotStarted   and revoked: the holder hangs, and will not start it
//	no started, but processes            Orphaned     somebody has removed the folder, or what was in it
//	lock free, started, same boot        Orphaned     the program still runs
//	                                     Lost         it does not
//	lock free, started, another boot     Interrupted
//
// A file that is corrupt is set aside and makes the program Lost, never a success. A folder of a newer version, or of another
// start, is an error and left alone.
//
// No goroutine and no descriptor is kept for a program but while Wait is called, and Wait takes no thread: it sleeps in the
// runtime's poller (on Linux; elsewhere it looks every now and then).
//
// # Design
//
// Alive is who holds the lock, never who has a number: numbers are reused. The lock comes first on both sides, so that one of a
// late holder and a judging daemon always sees the other. The end of a holder is the end of file of a FIFO that it has open
// for writing: that needs no number, works for a holder that another daemon has started, and for a thousand of them in one poller.
//
// A holder that does not act on a stop is overruled: two seconds after the grace the daemon kills the tree, two
// seconds later the holder. Of a tree without a holder everything is known that has the attempt's marks in its environment, and what
// descends from that; what has cleared its environment and lost its parent is not, on any system without cgroups. Where the daemon's
// control group was handed over to it, each program has one of its own below that ([Groups], package cgroup): the whole tree ends at
// once, also one without a holder, and whatever it has done to its marks. The marks and the walk stay, for what has left the group, and
// for what an older holder has started. The group outlives the daemon with the program, and goes when both holder and tree have gone.
//
// What a start needs is made before it where a [Spare] is used: the files of the attempt's folder, which take a file system longer than
// all else (nine new files: 2 ms and more; one rename: next to nothing), and a process that waits for its folder. Both go where they belong
// beside the commit of the intent ([Launcher.Furnish]), and only the spec waits for that: a quarter of a millisecond that no start
// pays for. A spare without a spec has done nothing, has nothing in its folder but empty files, and leaves with the daemon, so every point at
// which it can die is safe: where one is gone before "started" is there, and was reaped, the start takes a new holder. It is compared with
// the executable on disk, so an upgrade counts from the next start on. A waiting process alone was tried, and won nothing: a new one
// comes up while the files are made.
//
// Rejected: a mode of durabled in place of durable-shim (each running command would pay for all that is linked into
// the daemon); sh -c 'cmd; echo $?' (takes a signal for an exit status, leaves no identity and no rusage); waiting for a pidfd of the
// holder (numbers again, where the lock is enough); pipes for output (break when either end dies); systemd scopes
// (Linux only, and a round trip over D-Bus); ending a start with its context once the spec is sent (then nobody knew what runs).
package shim
