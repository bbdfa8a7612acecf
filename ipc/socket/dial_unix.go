//go:build unix

package socket

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"durable/ipc/task"
)

// Dial connects to the socket at path. It refuses one that is neither this user's nor root's (but for
// the system service's own path, where only root can have put one): who listens there would get all
// that we say. Such an error is a [*task.Error]; [Absent] tells of the others whether waiting may help.
func Dial(ctx context.Context, path string) (net.Conn, error) {
	if err := checkName("socket", path); err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, denied(path, err)
	case errors.Is(err, syscall.ENOTDIR):
		return nil, task.Errorf(task.FailedPrecondition, "socket %s: a part of its path is not a folder", path).
			WithHint("set %s or %s to a place of your own", EnvSocket, EnvHome)
	case err != nil:
		return nil, err
	case info.Mode().Type() != fs.ModeSocket:
		return nil, task.Errorf(task.FailedPrecondition, "%s is not a socket", path).
			WithHint("set %s to the daemon's socket", EnvSocket)
	}
	if owner := ownerOf(info); !trusted(path, owner) {
		return nil, foreign(path, owner)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if errors.Is(err, fs.ErrPermission) {
		return nil, denied(path, err)
	}
	if err != nil {
		return nil, err
	}
	// Again, by the kernel's word: the file may have been another one a moment ago.
	if peer, err := Peer(conn); err != nil || !trusted(path, peer.UID) {
		conn.Close()
		return nil, foreign(path, peer.UID)
	}
	return conn, nil
}

func trusted(path string, uid int) bool {
	return uid == os.Geteuid() || uid == 0 || path == systemSocket
}

func denied(path string, err error) error {
	e := task.Errorf(task.PermissionDenied, "socket %s: permission denied", path)
	e.Err = err
	return e.WithHint("it is another user's: set %s to a folder of your own; for the system service, join the group %s", EnvHome, systemGroup)
}

// Absent reports whether a dial failed because nobody listens: no socket yet, or one whose daemon died.
// Waiting, or starting a daemon, may help.
func Absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED)
}
