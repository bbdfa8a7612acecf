package install

import (
	"context"
	"os"
	"runtime"
	"strings"

	"durable/ipc/client"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// Name is that of the unit, the agent, the service or the task, and of the system service's user and group.
const Name = "durable"

// Options say which service is meant; the zero value is this user's own.
type Options struct {
	// System: the machine's, under a user of its own. Most of it needs root.
	System bool
	// Socket: systemd holds the socket, so that no request is lost while the daemon restarts.
	Socket bool
	// From is the folder of the programs to install; empty: that of this executable.
	From string
	// Downgrade allows a version that is older than the installed one.
	Downgrade bool
	// Say is told what was done, a line at a time; nil: nobody is.
	Say func(format string, args ...any)
}

// Service is the daemon as a service: installed or not.
type Service struct {
	opts    Options
	paths   socket.Paths
	home    layout
	manager manager
	// detach starts a daemon that is no service. It is a field for tests only.
	detach func(context.Context) error
}

// Status is how a service is doing.
type Status struct {
	// Manager is who runs it: "systemd", "launchd", "windows services", "task scheduler"; empty: there is none that we know.
	Manager string `json:"manager"`
	System  bool   `json:"system"`
	// Installed: it is registered. Package: not by us, but by a package of the system.
	Installed bool `json:"installed"`
	Package   bool `json:"package"`
	// Enabled: it starts by itself, at boot or at login. Linger: a user's service starts at boot, without a login (elsewhere
	// than under systemd: false).
	Enabled bool `json:"enabled"`
	Linger  bool `json:"linger"`
	Running bool `json:"running"`
	PID     int  `json:"pid"`
	// Socket: the service manager holds the socket.
	Socket bool `json:"socket"`
	// ownSocket: by a unit of ours.
	ownSocket bool
	// State is the service manager's own word for it.
	State string `json:"state"`
	// Version is the installed one, Programs the folder with its programs, Unit the file that registers it; empty where there is none.
	Version  string `json:"version"`
	Programs string `json:"programs"`
	Unit     string `json:"unit"`
}

// AtBoot reports whether the service starts without anybody logging in.
func (s Status) AtBoot() bool { return s.Enabled && (s.System || s.Linger) }

// up: its daemon is there, or about to be.
func (s Status) up() bool { return s.Running || s.starting() }

// starting: systemd runs it, or is about to, and its daemon is not ready yet.
func (s Status) starting() bool { return strings.HasPrefix(s.State, "activating") }

// New returns the service that opts mean. It changes nothing. The error says why there can be none here.
func New(opts Options) (*Service, error) {
	if opts.Say == nil {
		opts.Say = func(string, ...any) {}
	}
	paths := socket.SystemPaths()
	if !opts.System {
		var err error
		if paths, err = socket.UserPaths(); err != nil {
			return nil, err
		}
	}
	home, err := newLayout(opts.System)
	if err != nil {
		return nil, err
	}
	s := &Service{opts: opts, paths: paths, home: home}
	s.detach = client.Autostart(client.StartOptions{Socket: paths.Socket, Deliberate: true})
	s.manager, err = newManager(s)
	return s, err
}

// Paths are where the service's daemon keeps its things.
func (s *Service) Paths() socket.Paths { return s.paths }

// Links is the folder with the links by which people's shells find the installed programs; "": there is none.
func (s *Service) Links() string { return s.home.bin }

// Status looks at the service; it is no error that there is none.
func (s *Service) Status(ctx context.Context) (Status, error) {
	st := Status{Manager: s.manager.name(), System: s.opts.System}
	if err := s.manager.look(ctx, &st); err != nil {
		return st, err
	}
	if st.Installed && !st.Package {
		st.Programs = s.home.current()
		st.Version = s.home.version()
	}
	return st, nil
}

// manager is a service manager, with our service in it.
type manager interface {
	name() string
	// look fills in what it knows.
	look(ctx context.Context, st *Status) error
	// check says why the service cannot be registered; it changes nothing.
	check(ctx context.Context) error
	// register makes the service known, or as it should be, and has it start by itself. What it returns undoes that.
	register(ctx context.Context) (undo func(), err error)
	unregister(ctx context.Context) error
	start(ctx context.Context) error
	stop(ctx context.Context) error
	restart(ctx context.Context) error
	// logs is the command that prints the service's log; none: it is the daemon's own file.
	logs(lines int, follow bool) []string
}

// allowed says whether this process may change the service.
func (s *Service) allowed(verb string) error {
	root := os.Geteuid() == 0
	switch {
	case os.Getenv(socket.EnvHome) != "":
		return task.Errorf(task.FailedPrecondition, "%s is set: a daemon with a folder of its own is no service", socket.EnvHome).
			WithHint("unset %s", socket.EnvHome)
	case runtime.GOOS == "windows": // the service manager decides
		return nil
	case s.opts.System && !root:
		return task.Errorf(task.PermissionDenied, "the system service is root's to change").
			WithHint("sudo durablectl service %s --system; or without --system, for you alone", verb)
	case !s.opts.System && root:
		return task.Errorf(task.FailedPrecondition, "a service of root's own would run its jobs as root").
			WithHint("durablectl service %s --system has a user of its own; or use your own account", verb)
	}
	return nil
}
