// Package logfile keeps the output of a program in a file that may only grow so large, and reads it again.
//
// The program writes to the file itself, through a descriptor in append mode: nobody stands in between who could
// break, be slow or be killed. What the file needs besides is done by a [Keeper], in the process that holds the
// program, soon after something was written:
//
//   - NAME.times says when: lines "OFFSET TIME\n", all bytes before OFFSET were written by TIME. At most five a second;
//     a file of them that grows beyond 1 MiB loses every second one.
//   - A file that has outgrown its limit keeps its head (a quarter of the limit, at most 16 MiB) and its tail; what is in
//     between is punched out. The file keeps its length, so that an offset means the same byte for ever: only
//     the blocks go back to the file system. NAME.cut is {"from":N,"to":M}, the hole, and is renamed into place before the
//     first byte of it goes. It only ever grows, at its end, in steps of a quarter of the limit.
//
// A reader ([Open]) reads bytes first and NAME.cut afterwards: what was punched in between is thrown away, never
// shown as NULs. It never crosses the hole: it ends where the hole begins, and goes on at its end when asked to.
//
// # Design
//
// The physical size stays below limit + limit/4 + what is written between two checks. Three other ways were rejected. A
// pipe with a rotating writer behind it (as containers have) costs a copy of each byte, and a program whose writer is
// killed dies of SIGPIPE. Files by number, rotated by rename, cannot be had: the program holds the one descriptor.
// Truncating loses the tail, loses what is written in the meantime, and gives old offsets to new bytes. Collapsing
// the range (FALLOC_FL_COLLAPSE_RANGE) moves offsets too.
//
// What a hole costs is the kernel's work on its pages: 0.8 to 1 us each (ext4, Linux 6.18), as much as when a file is removed, under the
// lock that the program writes under. Pages that were not written to the disk yet never are. Tried, with no gain or a loss: smaller
// pieces (64 KiB to 1 MiB), with pauses or without, more often or seldom (256 KiB each 0.2 ms to 128 MiB each 0.2 s), a low priority, and
// to have the pages written first (sync_file_range), which costs three times as much.
//
// Where the file system cannot punch holes (FAT, some network and FUSE mounts), the first attempt returns
// [ErrNoHoles] and the log goes on without a limit: a log that is too large does less harm than one that is wrong.
//
// NAME.cut is not worth an fsync at each step of a flood. The first one is synced, later ones at most every ten seconds:
// after a power cut, of which a program's attempt is lost anyway, at most the steps of the last seconds
// before it may read as NULs.
//
// A program that truncates its own output (a shell's "> /dev/stdout" does) begins a new log: times and hole of the old
// one are dropped.
//
// This package is linked into the small process that holds a program: it needs the standard library without fmt
// and golang.org/x/sys, nothing else. Watching for changes is in the package watch below, for the daemon alone.
package logfile
