package client

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"durable/ipc/socket"
	"durable/ipc/task"
)

// EnvAutostart set to 0 (false, no, off) keeps clients from starting a daemon.
const EnvAutostart = "DURABLE_AUTOSTART"

// DefaultStartTimeout is how long a new daemon may take until it listens: it reads its store first.
const DefaultStartTimeout = 30 * time.Second

// maxDaemonLog is the size in bytes from which a detached daemon's log is set aside at its next start.
const maxDaemonLog = 8 << 20

// StartOptions say which daemon to start; the zero value is the one that a zero Client looks for.
type StartOptions struct {
	// Socket is that of [Options].
	Socket string
	// Program is durabled; empty: the one beside this executable, else the one on PATH.
	Program string
	// Deliberate: a person asked for it. Then neither EnvAutostart, nor the mark of a deliberate stop
	// (which is removed), nor being root stands in the way.
	Deliberate bool
	// Timeout bounds the wait until it listens; 0 is DefaultStartTimeout.
	Timeout time.Duration
}

// Autostart returns a function for [Options.Start].
func Autostart(o StartOptions) func(context.Context) error {
	return func(ctx context.Context) error { return StartDetached(ctx, o) }
}

// StartDetached starts this user's daemon where neither a closing terminal nor a host that kills its children reaches it, and returns
// when it listens: by the service manager, if that is possible, else in a session of its own. Many callers at once, in
// as many processes, start one daemon. If it dies at once, the error says its last words; it goes on
// when ctx ends first. Errors are [task.Unavailable], with what to do about it.
func StartDetached(ctx context.Context, o StartOptions) error {
	p, err := startPaths(o.Socket)
	if err != nil {
		return err
	}
	if err := o.mayStart(p); err != nil {
		return err
	}
	if err := os.MkdirAll(p.State, 0o700); err != nil {
		return task.Errorf(task.Unavailable, "state folder: %w", err).
			WithHint("set %s to a folder that you can write to", socket.EnvHome)
	}
	lock, err := startLock(ctx, p)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	if listens(ctx, p.Socket) {
		return nil
	}
	if o.Deliberate {
		os.Remove(p.Stopped)
	}
	d, err := startService(ctx, o.Program, p)
	if d == nil && err == nil {
		d, err = spawn(o.Program, p)
	}
	if err != nil {
		return err
	}
	return d.await(ctx, o.Timeout)
}

// startPaths: the system service is not ours to start; what we start is the user's own.
func startPaths(explicit string) (socket.Paths, error) {
	p, err := socket.Find(explicit)
	if err == nil && p.System {
		return socket.DefaultPaths()
	}
	return p, err
}

// errWillNot is the cause of an error that says only that this process starts none: somebody else may.
var errWillNot = errors.New("autostart is off")

func (o StartOptions) mayStart(p socket.Paths) error {
	if o.Deliberate {
		return nil
	}
	cause, why, hint := errWillNot, "", ""
	switch {
	case autostartOff():
		why, hint = EnvAutostart+"="+os.Getenv(EnvAutostart)+" keeps it from being started", "start it: durabled run"
	case marked(p.Stopped):
		cause, why, hint = nil, "it was stopped on purpose", "start it again: durablectl restart, or durablectl service start"
	case os.Geteuid() == 0 && !p.Home:
		why = "it is never started as root by itself"
		hint = "use your own account, or set " + socket.EnvHome + ", or start it: durabled run"
	default:
		return nil
	}
	e := task.Errorf(task.Unavailable, "the daemon is not running, and %s", why).WithHint("%s", hint)
	e.Err = cause
	return e
}

func autostartOff() bool {
	switch strings.ToLower(os.Getenv(EnvAutostart)) {
	case "0", "false", "no", "off":
		return true
	}
	return false
}

func marked(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// startLock waits its turn: the holder starts the daemon that we want.
func startLock(ctx context.Context, p socket.Paths) (*socket.Lock, error) {
	delays := newDelays()
	for {
		lock, err := socket.TryLock(p.StartLock)
		if err == nil {
			return lock, nil
		}
		if !errors.Is(err, socket.ErrLocked) {
			return nil, task.Errorf(task.Unavailable, "start the daemon: %w", err).
				WithHint("set %s to a folder that you can write to", socket.EnvHome)
		}
		if !sleep(ctx, delays.NextBackOff()) {
			return nil, given(ctx)
		}
	}
}

func listens(ctx context.Context, path string) bool {
	conn, err := socket.Dial(ctx, path)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// findDaemon returns the path of durabled.
func findDaemon() (string, error) {
	path, err := FindProgram("durabled")
	if err != nil {
		return "", task.Errorf(task.Unavailable, "the daemon is not running, and cannot be started: %w", err).
			WithHint("%s", task.AsError(err).Hint)
	}
	return path, nil
}

// FindProgram returns the path of one of durable's programs: beside this executable first, so that those of one
// installation stay together, then on PATH. Where it is in neither place, the error is a
// [task.FailedPrecondition].
func FindProgram(name string) (string, error) {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	if self, err := os.Executable(); err == nil {
		real, _ := filepath.EvalSymlinks(self)
		for _, dir := range []string{filepath.Dir(self), filepath.Dir(real)} {
			if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil && filepath.IsAbs(path) {
				return path, nil
			}
		}
	}
	path, err := exec.LookPath(name)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return "", task.Errorf(task.FailedPrecondition, "%s is neither beside this program nor on PATH", name).
			WithHint("all programs of durable belong into one folder: go build -o bin/ ./cmd/...")
	}
	return path, nil
}

// openLog opens the file for the daemon's stdout and stderr, and says how long it is already.
func openLog(path string) (*os.File, int64, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > maxDaemonLog {
		if err := os.Rename(path, path+".1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, 0, err
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}
