package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The files of a group that matter here.
const (
	fileProcs  = "cgroup.procs"
	fileEvents = "cgroup.events"
	fileKill   = "cgroup.kill"
)

// maxDepth bounds the way down into groups that a program has made.
const maxDepth = 32

var (
	errOther  = errors.New("not the control group that it was")
	errInside = errors.New("the caller is in that control group")
)

// Make makes the group name in base.
func Make(base, name string) (Group, error) {
	path := base + "/" + name
	err := unix.Mkdir(path, 0o755)
	if errors.Is(err, unix.EEXIST) { // of a start that came to nothing; one with processes stays, and is an error
		if err = unix.Rmdir(path); err == nil {
			err = unix.Mkdir(path, 0o755)
		}
	}
	if err != nil {
		return Group{}, &os.PathError{Op: "mkdir", Path: path, Err: err}
	}
	g, ok := Find(base, name)
	if !ok {
		return Group{}, &os.PathError{Op: "stat", Path: path, Err: errOther}
	}
	return g, nil
}

// Find returns the group name in base, if there is one.
func Find(base, name string) (Group, bool) {
	path := base + "/" + name
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return Group{}, false
	}
	return Group{Path: path, ID: int64(st.Ino)}, true
}

// Open opens the folder of a group, for clone3 and for what is in it. It is fs.ErrNotExist when there is none any more.
func Open(g Group) (*os.File, error) {
	if g.Path == "" || g.ID == 0 {
		return nil, fs.ErrNotExist
	}
	f, err := os.OpenFile(g.Path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	var sys unix.Statfs_t
	err = unix.Fstat(int(f.Fd()), &st)
	if err == nil {
		err = unix.Fstatfs(int(f.Fd()), &sys)
	}
	switch {
	case err != nil:
	case sys.Type != unix.CGROUP2_SUPER_MAGIC:
		err = errOther
	case int64(st.Ino) != g.ID: // another of that name
		err = fs.ErrNotExist
	}
	if err != nil {
		_ = f.Close()
		return nil, &os.PathError{Op: "open", Path: g.Path, Err: err}
	}
	return f, nil
}

// PIDs lists the processes of a group and of those below it; none where the caller is one of them.
func PIDs(g Group) []int {
	f, err := Open(g)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	pids := pids(f, nil, 0)
	if slices.Contains(pids, os.Getpid()) {
		return nil
	}
	return pids
}

// pids adds the processes of dir to found.
func pids(dir *os.File, found []int, depth int) []int {
	for line := range strings.Lines(readAt(dir, fileProcs)) {
		if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil && pid > 1 { // 0: of another PID namespace
			found = append(found, pid)
		}
	}
	if depth == maxDepth {
		return found
	}
	for _, name := range below(dir) {
		fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		sub := os.NewFile(uintptr(fd), name)
		found = pids(sub, found, depth+1)
		_ = sub.Close()
	}
	return found
}

// below names the groups in dir.
func below(dir *os.File) (names []string) {
	entries, _ := dir.ReadDir(-1)
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

// readAt returns what a file of a group holds; nothing if it cannot be read.
func readAt(dir *os.File, name string) string {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer func() { _ = unix.Close(fd) }()
	var text []byte
	buf := make([]byte, 4<<10)
	for {
		n, err := unix.Read(fd, buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n <= 0 || err != nil {
			return string(text)
		}
		text = append(text, buf[:n]...)
	}
}

// Populated reports whether a process lives in a group, or below it.
func Populated(g Group) bool {
	f, err := Open(g)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	return strings.Contains(readAt(f, fileEvents), "populated 1\n")
}

// Kill ends all processes of a group and of those below it, and what they fork meanwhile. It does not wait for their ends.
func Kill(g Group) error {
	f, err := Open(g)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if slices.Contains(pids(f, nil, 0), os.Getpid()) {
		return &os.PathError{Op: "kill", Path: g.Path, Err: errInside}
	}
	fd, err := unix.Openat(int(f.Fd()), fileKill, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		_, err = unix.Write(fd, []byte("1"))
		_ = unix.Close(fd)
	}
	if err != nil {
		return &os.PathError{Op: "kill", Path: g.Path, Err: err}
	}
	return nil
}

// Remove removes a group with those below it. One that still has processes stays, which is an error, unless they end within patience: the
// kernel counts a process for a moment after its parent was told of its end.
func Remove(g Group, patience time.Duration) error {
	f, err := Open(g)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	defer func() { _ = f.Close() }()
	pause := 100 * time.Microsecond
	for deadline := time.Now().Add(patience); ; pause = min(2*pause, 5*time.Millisecond) {
		// An empty group below one that lives may be about to be used: it is its program's.
		err := error(&os.PathError{Op: "rmdir", Path: g.Path, Err: unix.EBUSY})
		if !strings.Contains(readAt(f, fileEvents), "populated 1\n") {
			err = removeAll(g.Path, 0)
		}
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || !time.Now().Add(pause).Before(deadline) {
			return err
		}
		time.Sleep(pause)
	}
}

// removeAll removes the groups in path, then path.
func removeAll(path string, depth int) error {
	err := unix.Rmdir(path)
	if err == nil || depth == maxDepth || !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENOTEMPTY) {
		return pathError(path, err)
	}
	dir, e := os.Open(path)
	if e != nil {
		return e
	}
	names := below(dir)
	_ = dir.Close()
	if len(names) == 0 {
		return pathError(path, err)
	}
	for _, name := range names {
		if err := removeAll(path+"/"+name, depth+1); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return pathError(path, unix.Rmdir(path))
}

func pathError(path string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: "rmdir", Path: path, Err: err}
}

// Sweep removes the groups in base, of those whose names begin with prefix, that have no processes.
func Sweep(base, prefix string) {
	dir, err := os.Open(base)
	if err != nil {
		return
	}
	names := below(dir)
	_ = dir.Close()
	for _, name := range names {
		if g, ok := Find(base, name); ok && strings.HasPrefix(name, prefix) {
			_ = Remove(g, 0)
		}
	}
}
