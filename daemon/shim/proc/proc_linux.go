package proc

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"durable/daemon/shim/cgroup"
)

// boot is what BootID has found: it stays what it is while this process lives.
var boot atomic.Pointer[string]

// BootID returns the identity of this boot of the machine, or of the container.
func BootID() string {
	if known := boot.Load(); known != nil {
		return *known
	}
	var buf [64]byte
	id, ok := read("/proc/sys/kernel/random/boot_id", buf[:])
	first := Start(1)
	found := strings.TrimSpace(string(id)) + "/" + first
	if ok && first != "" { // else the next one asks again: too many open files, perhaps
		boot.Store(&found)
	}
	return found
}

// Start returns when a process began, "" if there is none of that number or it has ended.
func Start(pid int) string {
	st, ok := look(pid)
	if !ok || st.dead {
		return ""
	}
	return st.start
}

// stat is what matters of /proc/PID/stat.
type stat struct {
	parent int
	start  string // clock ticks since the boot
	dead   bool   // a zombie: only its parent still has to hear of it
	env    env
}

func look(pid int) (stat, bool) {
	var buf [1024]byte // one line; a name has at most 15 bytes
	b, ok := read("/proc/"+strconv.Itoa(pid)+"/stat", buf[:])
	if !ok {
		return stat{}, false
	}
	return parseStat(string(b))
}

// parseStat takes apart the line, in which the name may have spaces and parentheses.
func parseStat(line string) (stat, bool) {
	f := strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
	if len(f) < 20 {
		return stat{}, false
	}
	parent, err := strconv.Atoi(f[1])
	// The first thread of a process can end before the others: a zombie that still runs.
	dead := (f[0] == "Z" || f[0] == "X") && (f[17] == "1" || f[17] == "0")
	return stat{parent: parent, start: f[19], dead: dead, env: envOf(f)}, err == nil
}

// read fills buf from a file of /proc and returns what it got.
func read(path string, buf []byte) ([]byte, bool) {
	fd, err := retry(func() (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return nil, false
	}
	defer func() { _ = unix.Close(fd) }()
	n := 0
	for n < len(buf) {
		k, err := retry(func() (int, error) { return unix.Read(fd, buf[n:]) })
		if err != nil {
			return nil, false
		}
		if k == 0 {
			break
		}
		n += k
	}
	return buf[:n], true
}

func retry(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); err != unix.EINTR {
			return n, err
		}
	}
}

// numbers lists the processes.
func numbers() ([]int, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }()
	names, err := dir.Readdirnames(-1)
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && pid > 1 {
			pids = append(pids, pid)
		}
	}
	return pids, err
}

// maxGenerations bounds the way up: a table that changes while it is read could have a circle.
const maxGenerations = 10000

// scan is one look at the processes; what it has seen of one it does not look at again.
type scan struct {
	t      Tree
	stats  map[int]stat
	belong map[int]bool
	own    map[int]bool
	group  map[int]bool // what is in the control group
	env    []byte       // room for an environment
	waits  int          // for processes in the middle of an exec
}

// scan begins a look. The caller and its ancestors are never of a tree, and neither is what descends from the caller
// only: a daemon that was started from inside a task has the marks of that.
func (t Tree) scan() *scan {
	s := &scan{t: t, stats: map[int]stat{}, belong: map[int]bool{}, own: map[int]bool{}, group: map[int]bool{}}
	for _, pid := range cgroup.PIDs(t.Group) {
		s.group[pid] = true
	}
	for pid := os.Getpid(); pid > 1 && !s.own[pid]; {
		s.own[pid] = true
		st, _ := s.look(pid)
		pid = st.parent
	}
	return s
}

func (s *scan) look(pid int) (stat, bool) {
	st, seen := s.stats[pid]
	if !seen {
		st, seen = look(pid)
		if !seen {
			return stat{}, false
		}
		s.stats[pid] = st
	}
	return st, true
}

// member reports whether a process belongs to the tree, itself or by an ancestor.
func (s *scan) member(pid int) bool {
	var way []int
	found := false
	for range maxGenerations {
		if pid <= 1 || s.own[pid] {
			break
		}
		if known, seen := s.belong[pid]; seen {
			found = known
			break
		}
		st, ok := s.look(pid)
		if !ok {
			break
		}
		way = append(way, pid)
		if s.group[pid] || s.t.Root != 0 && st.parent == s.t.Root || s.t.Root == 0 && s.origin(pid, st) {
			found = true
			break
		}
		pid = st.parent
	}
	for _, pid := range way {
		s.belong[pid] = found
	}
	return found
}

// origin reports whether a process belongs to a tree without a root by itself.
func (s *scan) origin(pid int, st stat) bool {
	return pid == s.t.Child.PID && st.start == s.t.Child.Start || s.marked(pid)
}

// Members returns the processes of the tree that live.
func (t Tree) Members() ([]Process, error) {
	pids, err := numbers()
	if err != nil {
		return nil, err
	}
	s := t.scan()
	var members []Process
	for _, pid := range pids {
		if st, ok := s.look(pid); ok && !st.dead && s.member(pid) {
			members = append(members, Process{PID: pid, Start: st.start})
		}
	}
	return members, nil
}

// Signal sends sigs to each process of the tree, one after the other, and returns how many live.
func (t Tree) Signal(sigs ...unix.Signal) (int, error) {
	members, err := t.Members()
	for some := range slices.Chunk(members, pinned) {
		t.signal(some, sigs)
	}
	return len(members), err
}

// pinned is how many processes are pinned at a time: each takes a descriptor.
const pinned = 64

// signal pins processes, looks which of them are still ours, and only then signals those.
func (t Tree) signal(members []Process, sigs []unix.Signal) {
	fds := make(map[int]int, len(members))
	for _, p := range members {
		if p.PID <= 1 {
			continue
		}
		fd, err := unix.PidfdOpen(p.PID, 0)
		switch {
		case err == nil:
			fds[p.PID] = fd
		case err == unix.ENOSYS || err == unix.EPERM || err == unix.EMFILE: // before Linux 5.3, or a sandbox
			t.signalNumber(p, sigs)
		}
	}
	again := t.scan()
	for pid, fd := range fds {
		if again.member(pid) {
			for _, sig := range sigs {
				_ = unix.PidfdSendSignal(fd, sig, nil, 0)
			}
		}
		_ = unix.Close(fd)
	}
}

// signalNumber signals a process that cannot be pinned: the window is as small as it gets.
func (t Tree) signalNumber(p Process, sigs []unix.Signal) {
	if st, ok := look(p.PID); ok && st.start == p.Start && t.scan().member(p.PID) {
		for _, sig := range sigs {
			_ = unix.Kill(p.PID, sig)
		}
	}
}

// KillGroup signals a process group whose leader the caller has not reaped yet.
func KillGroup(pid int, sig unix.Signal) {
	if pid > 1 {
		_ = unix.Kill(-pid, sig)
	}
}
