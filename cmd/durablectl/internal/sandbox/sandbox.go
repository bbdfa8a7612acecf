// Package sandbox is a folder with a daemon of its own, for what must not touch the user's: the demonstration and
// the benchmark.
//
// # Design
//
// DURABLE_HOME moves everything of a daemon into the folder, socket included, and says so to every
// program that is started with [Sandbox.Command], whatever the user's own environment says.
//
// Whether a daemon lives is read off its lock, never off a PID: the lock goes with the process in the instant
// of its death, while a PID may be a zombie's, or another program's. Rejected: to start the daemon in-process
// (durablectl must not link the store, and a process that is killed cannot be shown that way).
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"durable/ipc/client"
	"durable/ipc/socket"
	"durable/ipc/task"
)

const (
	// lateStart is how long a daemon is looked for that was started by somebody who is gone already.
	lateStart = time.Second
	// graceful is how long a daemon has to leave when asked; after that it is killed.
	graceful = 10 * time.Second
	// dying is how long a killed process may take to be gone.
	dying = 10 * time.Second
	// glance is the time between two looks at a foreign process.
	glance = 2 * time.Millisecond
)

// Sandbox is a folder of its own. Its methods are for one goroutine at a time, but for Client and Command.
type Sandbox struct {
	// Dir is the folder; data files go there.
	Dir string
	// Paths are those of the daemon, in a folder below Dir.
	Paths socket.Paths
}

// New makes the folder, in parent, or where temporary files go if that is empty.
func New(parent string) (*Sandbox, error) {
	parents := []string{parent}
	if parent == "" {
		parents = []string{os.TempDir(), "/tmp"} // the first may be too long for a socket's path
	}
	var err error
	for _, parent := range parents {
		var s *Sandbox
		if s, err = in(parent); err == nil {
			return s, nil
		}
	}
	return nil, err
}

func in(parent string) (*Sandbox, error) {
	parent, err := filepath.Abs(parent)
	if err != nil {
		return nil, task.Errorf(task.FailedPrecondition, "a folder for this: %w", err)
	}
	dir, err := os.MkdirTemp(parent, "durable-")
	if err != nil {
		return nil, task.Errorf(task.FailedPrecondition, "a folder for this: %w", err).
			WithHint("set TMPDIR to a folder that you can write to")
	}
	s := &Sandbox{Dir: dir, Paths: socket.In(filepath.Join(dir, "state"))}
	if n := len(s.Paths.Socket); n > socket.MaxPath {
		return nil, errors.Join(os.Remove(dir), task.Errorf(task.FailedPrecondition,
			"socket path: %d bytes, the limit is %d: %s", n, socket.MaxPath, s.Paths.Socket).
			WithHint("set TMPDIR to a folder with a shorter path"))
	}
	return s, nil
}

// Path returns the path of a file in the folder.
func (s *Sandbox) Path(name string) string { return filepath.Join(s.Dir, name) }

// Command returns a command that runs one of durable's programs in the sandbox.
func (s *Sandbox) Command(ctx context.Context, program string, args ...string) (*exec.Cmd, error) {
	path, err := client.FindProgram(program)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = s.Dir
	cmd.Env = s.environment()
	return cmd, nil
}

// environment is ours without what would lead out of the sandbox or keep a daemon from starting there.
func (s *Sandbox) environment() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "DURABLE_") {
			env = append(env, e)
		}
	}
	return append(env, socket.EnvHome+"="+s.Paths.State)
}

// Client returns a client of the sandbox's daemon. It never starts one.
func (s *Sandbox) Client(name string) *client.Client {
	return client.New(client.Options{Socket: s.Paths.Socket, Name: name})
}

// Alive reports whether a daemon lives in the sandbox. Do not ask while one is starting: it could find its
// lock taken.
func (s *Sandbox) Alive() (bool, error) {
	lock, err := socket.TryExisting(s.Paths.Lock)
	switch {
	case err == nil:
		return false, lock.Unlock()
	case errors.Is(err, socket.ErrLocked):
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	}
	return false, fmt.Errorf("look for the daemon: %w", err)
}

// Kill ends the daemon with SIGKILL, without a warning, and returns when it is gone.
func (s *Sandbox) Kill(ctx context.Context) (pid int, err error) {
	if pid, err = s.pid(ctx); err != nil {
		return 0, err
	}
	p, err := os.FindProcess(pid)
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		return pid, task.Errorf(task.Internal, "kill the daemon (process %d): %w", pid, err)
	}
	return pid, s.await(ctx, false, dying)
}

// pid is the daemon's as it says itself; one that does not answer any more has left it in its lock.
func (s *Sandbox) pid(ctx context.Context) (int, error) {
	c := client.New(client.Options{Socket: s.Paths.Socket, DialRetry: client.Never})
	defer func() { _ = c.Close() }()
	info, err := c.Info(ctx)
	if err != nil {
		held, readErr := os.ReadFile(s.Paths.Lock)
		if _, scanErr := fmt.Sscanf(string(held), "pid %d", &info.PID); readErr != nil || scanErr != nil {
			return 0, err
		}
	}
	if info.PID <= 1 {
		return 0, task.Errorf(task.Internal, "the daemon's process is %d", info.PID)
	}
	return info.PID, nil
}

// await returns when a daemon lives, or when none does any more.
func (s *Sandbox) await(ctx context.Context, alive bool, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		if is, err := s.Alive(); err != nil || is == alive {
			return err
		}
		next := time.NewTimer(glance)
		select {
		case <-next.C:
		case <-ctx.Done():
			next.Stop()
			if alive {
				return task.Errorf(task.Unavailable, "no daemon lives in %s", s.Paths.State)
			}
			return task.Errorf(task.Unavailable, "the daemon in %s does not end", s.Paths.State)
		}
	}
}

// Close ends the daemon, if one lives, and removes the folder unless it is to be kept. It does so whatever
// has become of ctx.
func (s *Sandbox) Close(ctx context.Context, keep bool) error {
	ctx = context.WithoutCancel(ctx)
	if err := s.stop(ctx); err != nil {
		return err
	}
	if keep {
		return nil
	}
	if err := os.RemoveAll(s.Dir); err != nil {
		return task.Errorf(task.Internal, "clean up: %w", err)
	}
	return nil
}

// stop asks the daemon to leave, and kills it if it does not.
func (s *Sandbox) stop(ctx context.Context) error {
	if _, err := os.Stat(s.Paths.State); errors.Is(err, fs.ErrNotExist) {
		return nil // there never was one
	}
	if s.await(ctx, true, lateStart) != nil {
		return nil
	}
	c := s.Client("sandbox")
	defer func() { _ = c.Close() }()
	if c.Shutdown(ctx, task.ShutdownRequest{}) == nil && s.await(ctx, false, graceful) == nil {
		return nil
	}
	_, err := s.Kill(ctx)
	return err
}
