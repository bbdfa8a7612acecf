//go:build unix

package shim

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"durable/daemon/shim/cgroup"
	"durable/daemon/shim/proc"
	"durable/daemon/shim/protocol"
)

// child is a holder that we have started. Its number stays ours until we reap it, without a descriptor for each.
type child struct{ number int }

// startProcess starts a holder in a session of its own: no terminal and no group of the daemon's reaches it.
func startProcess(path string, args []string, std [3]*os.File) (*child, error) {
	p, err := os.StartProcess(path, args, &os.ProcAttr{Env: holderEnv, Files: std[:], Sys: &syscall.SysProcAttr{Setsid: true}})
	if err != nil {
		return nil, err
	}
	c := &child{p.Pid}
	return c, p.Release()
}

func (c *child) pid() int { return c.number }

func (c *child) kill() {
	if c.number > 1 {
		_ = unix.Kill(c.number, unix.SIGKILL)
	}
}

// spares: to have a holder wait costs little.
const spares = true

// replaceFolder puts a folder in the place of an empty one. os.Rename refuses that.
func replaceFolder(from, to string) error { return unix.Rename(from, to) }

// gone reports whether it has ended, and reaps it then.
func (c *child) gone() bool {
	n, err := unix.Wait4(c.number, nil, unix.WNOHANG, nil)
	if n == c.number || errors.Is(err, unix.ECHILD) {
		c.number = 0 // no longer ours
		return true
	}
	return false
}

// reap waits for one that has ended, or is about to. It may be called once.
func (c *child) reap() {
	for c.number > 1 {
		if _, err := unix.Wait4(c.number, nil, 0, nil); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// command tells the holder of dir something. It reports false if there is none that listens.
func command(dir string, c protocol.Command) (bool, error) {
	fd, err := unix.Open(filepath.Join(dir, protocol.FileControl), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, &os.PathError{Op: "open", Path: protocol.FileControl, Err: err}
	}
	defer func() { _ = unix.Close(fd) }()
	for {
		_, err := unix.Write(fd, c.Append()) // a line is written as a whole or not at all
		if !errors.Is(err, unix.EINTR) {
			return err == nil, nil // EAGAIN: it does not read
		}
	}
}

// execHint says what to do about a program that the system does not run.
func execHint(message string) string {
	switch {
	case !strings.HasPrefix(message, "exec "):
	case strings.HasSuffix(message, unix.ENOEXEC.Error()):
		return "a script needs a first line like #!/bin/sh"
	case strings.HasSuffix(message, unix.EACCES.Error()):
		return "is it executable? chmod +x makes it so"
	case strings.HasSuffix(message, unix.ENOENT.Error()):
		return "is the program there, and what its first line names?"
	}
	return ""
}

// terminate asks each process of a tree to leave; one that was stopped could not obey.
func terminate(t proc.Tree) { _, _ = t.Signal(unix.SIGTERM, unix.SIGCONT) }

// kill ends each process of a tree that is there now. What has left a control group comes after what is in it.
func kill(t proc.Tree) {
	if cgroup.Kill(t.Group) == nil && cgroup.Populated(t.Group) {
		return
	}
	_, _ = t.Signal(unix.SIGKILL)
}
