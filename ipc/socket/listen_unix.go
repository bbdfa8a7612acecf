//go:build unix

package socket

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"durable/ipc/task"
)

// Listen opens the socket at path for the user himself. It makes the folder if there is none, replaces
// a socket that nobody listens on any more, and never one that somebody does: that is a
// [task.FailedPrecondition], as is a path or a folder that is another user's. Closing the listener
// removes the socket if it is still ours.
func Listen(path string, opts ...Option) (net.Listener, error) {
	a := newAccess(opts)
	if err := checkName("socket", path); err != nil {
		return nil, err
	}
	if err := prepareDir(filepath.Dir(path), a); err != nil {
		return nil, err
	}
	lock, err := TryLock(path + ".lock")
	if errors.Is(err, ErrLocked) {
		return nil, inUse(path)
	}
	if err != nil {
		return nil, task.Errorf(task.FailedPrecondition, "lock socket: %w", err)
	}
	l, err := bind(path, a)
	if err != nil {
		lock.Unlock()
		return nil, err
	}
	l.lock = lock
	return l, nil
}

func inUse(path string) error {
	return task.Errorf(task.FailedPrecondition, "socket %s: another daemon listens on it", path).
		WithHint("durablectl status shows it; a second instance needs a %s of its own", EnvHome)
}

// prepareDir makes the socket's folder, or checks the one that is there: who can write to it can put a
// socket of his own in our place. Whether others can read it matters less: the socket's own mode
// keeps them out. A sticky folder (/tmp) protects what lies in it.
func prepareDir(dir string, a access) error {
	mode := fs.FileMode(0o700)
	if a.system {
		mode = 0o750
	}
	if err := os.MkdirAll(dir, mode); err != nil {
		return task.Errorf(task.FailedPrecondition, "socket folder: %w", err).
			WithHint("set %s to a folder that you can write to", EnvHome)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return task.Errorf(task.FailedPrecondition, "socket folder: %w", err)
	}
	if owner := ownerOf(info); owner != os.Geteuid() && owner != 0 {
		return task.Errorf(task.PermissionDenied, "socket folder %s: belongs to another user (uid %d)", dir, owner).
			WithHint("set %s to a folder of your own", EnvHome)
	}
	if loose := info.Mode().Perm() & 0o022; loose != 0 && info.Mode()&fs.ModeSticky == 0 {
		return task.Errorf(task.PermissionDenied, "socket folder %s: other users can write to it (mode %#o)", dir, info.Mode().Perm()).
			WithHint("chmod %#o %s", mode, dir)
	}
	return nil
}

func ownerOf(info fs.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}

// bind is called with the lock held.
func bind(path string, a access) (*listener, error) {
	if err := checkStale(path); err != nil {
		return nil, err
	}
	tmp := temporary(path)
	if info, err := os.Lstat(tmp); err == nil && info.Mode().Type() == fs.ModeSocket {
		os.Remove(tmp) // left by a daemon that died between bind and rename
	}
	ul, err := net.ListenUnix("unix", &net.UnixAddr{Name: tmp, Net: "unix"})
	if err != nil {
		return nil, task.Errorf(task.FailedPrecondition, "listen on %s: %w", path, err).
			WithHint("set %s to a folder that you can write to, on a file system that knows sockets", EnvHome)
	}
	ul.SetUnlinkOnClose(false) // the name changes below; Close removes the right one
	mode := fs.FileMode(0o600)
	if a.system {
		mode = 0o660
	}
	l := &listener{UnixListener: ul, path: path}
	if err := l.publish(tmp, mode); err != nil {
		ul.Close()
		os.Remove(tmp)
		return nil, task.Errorf(task.FailedPrecondition, "listen on %s: %w", path, err)
	}
	return l, nil
}

// temporary has path's length, so that a path which fits has one that fits too. The lock makes it ours.
func temporary(path string) string {
	if path[len(path)-1] == '~' {
		return path[:len(path)-1] + "_"
	}
	return path[:len(path)-1] + "~"
}

// staleDial bounds the question whether somebody listens: a full backlog is an answer too.
const staleDial = time.Second

// checkStale returns nil if path is free or holds a socket of ours that nobody listens on. The lock
// tells most of it; the dial is for a daemon whose lock file somebody removed.
func checkStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return task.Errorf(task.FailedPrecondition, "socket: %w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return task.Errorf(task.FailedPrecondition, "socket %s: something else is there (%s)", path, info.Mode()).
			WithHint("remove it, or set %s to another path", EnvSocket)
	}
	if owner := ownerOf(info); owner != os.Geteuid() {
		return foreign(path, owner)
	}
	conn, err := net.DialTimeout("unix", path, staleDial)
	if err == nil {
		conn.Close()
		return inUse(path)
	}
	if errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return inUse(path)
}

func foreign(path string, owner int) error {
	return task.Errorf(task.PermissionDenied, "socket %s: belongs to another user (uid %d)", path, owner).
		WithHint("set %s or %s to a place of your own", EnvSocket, EnvHome)
}

// listener is a Unix listener under its final name.
type listener struct {
	*net.UnixListener
	path string
	self fs.FileInfo
	lock *Lock
}

// publish gives the socket its mode, then its name.
func (l *listener) publish(tmp string, mode fs.FileMode) error {
	if err := os.Chmod(tmp, mode); err != nil {
		return err
	}
	info, err := os.Lstat(tmp)
	if err != nil {
		return err
	}
	l.self = info
	return os.Rename(tmp, l.path)
}

// Addr returns the final name: the one beneath knows the temporary one.
func (l *listener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close removes the socket first, so that a client in the gap sees none rather than a dead one.
func (l *listener) Close() error {
	if info, err := os.Lstat(l.path); err == nil && os.SameFile(info, l.self) {
		os.Remove(l.path)
	}
	err := l.UnixListener.Close()
	if err == nil { // the first Close; a second one finds it closed
		l.lock.Unlock()
	}
	return err
}
