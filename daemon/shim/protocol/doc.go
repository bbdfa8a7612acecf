// Package protocol is what a daemon and the holder of a program agree on: the files in the folder of an attempt, what they hold,
// and what the two say to each other. Holders live on while daemons are replaced, so each side reads what any build of the same
// [Version] writes, steps over fields that it does not know, and leaves alone what has a higher version.
//
// # Files, version 1
//
//	lock           flock, from before "revoked" is looked for until the holder's end
//	alive          FIFO that the holder has open for writing, from before the lock: end of file says that it is gone
//	control        FIFO that the daemon writes commands to
//	revoked        made by a daemon that judges that nothing was started: a holder that finds it leaves
//	started        Started: on disk before the program runs
//	child          Child: soon after the fork, not synced
//	exit           Exit: how the program ended; on disk before the holder does anything else
//	stdout stderr  the program's, opened for appending
//	stdin          the input so far; stdin.closed: no more comes
//	NAME.corrupt   a file that could not be read
//
// started, child and exit are one JSON object on one line, written to NAME.tmp and renamed: who looks never sees half a file.
// exit is synced before it is renamed, started after that, which saves a commit of the file system: after a power failure
// its name may be there and its last byte, the newline, not. Then it counts as not there, for the program runs after the sync;
// whoever judges so looks for traces of a program first. exit.tmp is full of zeros soon after the start, so that the end of a
// program fits on a disk that it has filled. Package logfile has the files that belong to stdout and stderr. Where there are no
// FIFOs (Windows), "alive" is the lock, and the commands are the file "stop" and the size of "stdin", which the holder looks at
// from time to time.
//
// # Commands
//
// A line each, all of which may be said again: "stdin" (there is more input, or its end), "stop MILLISECONDS" (end the whole
// tree, by force after that time; of several the earliest counts). A holder ignores what it does not know.
//
// # The control group
//
// A spec can name one, which the daemon has made: the holder starts the program in it, and not itself, says so in "started", and removes it
// when the tree is gone. Both fields are optional. A holder that does not know them starts the program without, a daemon
// that does not know them has the tree as it has it without: what a group says of a tree comes on top of that, never instead.
//
// # The start
//
// The daemon starts the holder with the folder as its argument, or with [ArgSpare], and gives it the folder later. It writes a Spec to its standard input and closes that. The
// holder answers with a Reply, a line on its standard output, and closes that. In this order the holder: opens alive, takes the
// lock, looks for revoked (and for started, exit), reads the spec to its end, syncs started, looks for revoked again, runs the
// program, answers, writes child. Before the spec a daemon may make the files that a holder opens (see [Furnish]), or put a folder that has them in the
// place of the attempt's, as long as that is empty and no holder is in it: they say
// nothing by being there, and are empty. So a spec that is not whole has started nothing, and under the lock "no started" means: nothing has run
// and nothing will. The second look is for a daemon that cannot have the lock, because the holder hangs: it makes revoked and then
// looks for started, so that one of the two sees the other's file.
//
// # Design
//
// Files and not a socket: they are there when nobody is, and an old holder needs no handshake with a new daemon. JSON because people
// read these files when something has gone wrong; a codec of our own, for flat objects, because encoding/json would be
// half of the holder's binary and replaces the bytes of an argument that is not UTF-8. The spec is never on disk: it has the
// secrets of the environment in it. Rejected: a PID file (numbers are reused; the lock is not); protobuf (no reader at hand).
package protocol
