// Package environ has the environment that programs get which bring none of their own: that of the user's
// login shell, as he would find it in a new terminal. A daemon born of launchd, systemd or a desktop program has a
// PATH of /usr/bin:/bin and finds neither npm nor brew nor pyenv.
//
// The shell is asked once at the daemon's start and at each reload, in the background: $SHELL -lic, in a session of its
// own, with nothing on its input and a limit of time, prints env -0 between two random marks, so that what profiles
// print beside it does no harm. DURABLE_RESOLVING_ENVIRONMENT is set meanwhile, for profiles that want to be quick.
// Whoever needs the environment before it is there waits. Where the shell does not answer, the daemon's own environment
// stands in, with the folders that PATH usually has, and [Environment.Warnings] says so.
//
// Values are secrets: they are never logged, and no error contains one, nor what the shell has printed.
//
// # Design
//
// VS Code and Zed ask the shell in the same way. Rejected: to read profiles ourselves (each shell has its own, and they
// are programs), to ask for each task (profiles take seconds, and two tasks of a day would not see the same), a
// terminal for the shell (prompts that wait for a key would have one to wait on).
//
// The shell is ended with its whole group as soon as it has said what we want: asked first, killed after a moment, and all
// that before it is reaped, so that the number of the group is still its own.
package environ

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"durable/daemon/config"
)

// DefaultTimeout is how long the shell may take.
const DefaultTimeout = 10 * time.Second

// resolving tells profiles that nobody looks at the shell.
const resolving = "DURABLE_RESOLVING_ENVIRONMENT"

// Options of an Environment; the zero value is a good one.
type Options struct {
	// Shell is asked instead of the user's own.
	Shell string
	// Environ is the daemon's own environment; nil is os.Environ.
	Environ func() []string
	// Timeout is how long the shell may take; 0 is DefaultTimeout.
	Timeout time.Duration
	Logger  *slog.Logger
}

// Environment is the environment for programs. It may be used from any goroutine.
type Environment struct {
	opts Options

	mu     sync.Mutex
	now    *reading
	closed bool
	group  sync.WaitGroup
}

// reading is one look at the environment. env and warning may be read when done is closed.
type reading struct {
	cancel  context.CancelFunc
	done    chan struct{}
	env     []string
	warning string
}

// New returns an Environment that is the daemon's own until the first Load.
func New(opts Options) *Environment {
	if opts.Environ == nil {
		opts.Environ = os.Environ
	}
	if opts.Timeout == 0 {
		opts.Timeout = DefaultTimeout
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	own := &reading{cancel: func() {}, done: make(chan struct{})}
	own.env = apply(table(opts.Environ()), config.Environment{})
	close(own.done)
	return &Environment{opts: opts, now: own}
}

// Load begins to read the environment as cfg wants it, and returns at once. It replaces a reading that is under way.
func (e *Environment) Load(cfg config.Environment) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	e.now.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), e.opts.Timeout)
	next := &reading{cancel: cancel, done: make(chan struct{})}
	e.now = next
	e.group.Go(func() {
		defer cancel()
		defer close(next.done)
		next.env, next.warning = e.read(ctx, cfg)
	})
}

// Base returns the environment, sorted. It waits for a reading that is under way, not longer than that may take.
func (e *Environment) Base() []string {
	for {
		e.mu.Lock()
		now := e.now
		e.mu.Unlock()
		<-now.done
		e.mu.Lock()
		latest := e.now == now
		e.mu.Unlock()
		if latest {
			return slices.Clone(now.env)
		}
	}
}

// Warnings says what a person should know of the last reading, once it is over.
func (e *Environment) Warnings() []string {
	e.mu.Lock()
	now := e.now
	e.mu.Unlock()
	select {
	case <-now.done:
		if now.warning != "" {
			return []string{now.warning}
		}
	default:
	}
	return nil
}

// Close ends a reading that is under way and waits for it. There is none after it.
func (e *Environment) Close() {
	e.mu.Lock()
	e.closed = true
	e.now.cancel()
	e.mu.Unlock()
	e.group.Wait()
}

func (e *Environment) read(ctx context.Context, cfg config.Environment) (env []string, warning string) {
	own := complete(table(e.opts.Environ()))
	shell := ""
	if cfg.Source != config.SourceDaemon {
		shell = findShell(e.opts.Shell, own)
	}
	if shell == "" {
		return apply(own, cfg), ""
	}
	began := time.Now()
	found, err := ask(ctx, shell, own)
	if err != nil {
		if ctx.Err() == context.DeadlineExceeded {
			err = fmt.Errorf("it took longer than %s", e.opts.Timeout)
		}
		warning = fmt.Sprintf("the environment of your login shell (%s) is not known: %v. Programs get the daemon's own, "+
			"with the usual folders in PATH; see what your profile does, or set source = %q under [environment] in config.toml, "+
			"then: durablectl reload", shell, err, config.SourceDaemon)
		if ctx.Err() != context.Canceled {
			e.opts.Logger.Warn("the login shell's environment cannot be read", "shell", shell, "error", err)
		}
		addUsual(own)
		return apply(own, cfg), warning
	}
	e.opts.Logger.Info("read the login shell's environment", "shell", shell, "variables", len(found), "took", time.Since(began).Round(time.Millisecond))
	return apply(found, cfg), ""
}

// apply scrubs vars, and adds what the configuration says.
func apply(vars map[string]string, cfg config.Environment) []string {
	maps.Copy(vars, cfg.Set)
	if len(cfg.Path) > 0 {
		path := slices.Clone(cfg.Path)
		if rest := vars["PATH"]; rest != "" {
			path = append(path, rest)
		}
		vars["PATH"] = strings.Join(path, string(os.PathListSeparator))
	}
	var env []string
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if !private(name) {
			env = append(env, name+"="+vars[name])
		}
	}
	return env
}

// Scrub returns env without what is the daemon's own business: whoever inherited these would speak to the service
// manager in the daemon's name, or take sockets for his.
func Scrub(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return private(name)
	})
}

var privateNames = []string{
	"NOTIFY_SOCKET", "RUNTIME_DIRECTORY", "INVOCATION_ID", "MANAGERPID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID",
	"DURABLE_AUTOSTART", resolving,
}

func private(name string) bool {
	return strings.HasPrefix(name, "LISTEN_") || strings.HasPrefix(name, "WATCHDOG_") || slices.Contains(privateNames, name)
}

// table takes the last of several values, and leaves out what has no name (Windows has such).
func table(env []string) map[string]string {
	vars := make(map[string]string, len(env))
	for _, v := range env {
		if name, value, ok := strings.Cut(v, "="); ok && name != "" {
			vars[name] = value
		}
	}
	return vars
}

// usual are the folders that programs lie in besides the system's; those that exist are taken.
func usual(home string) []string {
	dirs := []string{"/usr/local/bin", "/opt/homebrew/bin", "/opt/homebrew/sbin", "/home/linuxbrew/.linuxbrew/bin", "/snap/bin"}
	if filepath.IsAbs(home) {
		for _, below := range []string{".local/bin", "bin", ".cargo/bin", "go/bin"} {
			dirs = append(dirs, filepath.Join(home, below))
		}
	}
	return append(dirs, "/usr/bin", "/bin", "/usr/sbin", "/sbin")
}

// addUsual puts the usual folders at the end of PATH.
func addUsual(vars map[string]string) {
	path := filepath.SplitList(vars["PATH"])
	for _, dir := range usual(vars["HOME"]) {
		if info, err := os.Stat(dir); err == nil && info.IsDir() && !slices.Contains(path, dir) {
			path = append(path, dir)
		}
	}
	vars["PATH"] = strings.Join(path, string(os.PathListSeparator))
}
