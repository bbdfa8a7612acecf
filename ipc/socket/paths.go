package socket

import (
	"os"
	"os/user"
	"path/filepath"

	"durable/ipc/task"
)

// The environment variables that move things. Both must hold absolute paths (on Windows EnvSocket holds
// the name of a pipe): a relative one would mean another place in each program's working folder.
const (
	// EnvHome names one folder for everything: for tests and second instances.
	EnvHome = "DURABLE_HOME"
	// EnvSocket names the socket alone.
	EnvSocket = "DURABLE_SOCKET"
)

// Paths are where one daemon keeps its things. All are absolute; none has to exist.
type Paths struct {
	// State is the folder of all that follows, but for Config, and Socket where EnvSocket moved it.
	State  string
	Socket string
	Config string
	Store  string
	// Lock is held by the daemon for life, StartLock by a client while it starts one.
	Lock      string
	StartLock string
	// Log is where a detached daemon's stdout and stderr go.
	Log string
	// Stopped is the mark of a deliberate stop: while it is there nobody starts a daemon by himself.
	Stopped string
	// Kinds is the list of kinds that the daemon writes at each load.
	Kinds string
	// Tasks holds a folder for each task that has files.
	Tasks string
	// Home reports that EnvHome chose the folder, System that these are the system service's.
	Home   bool
	System bool
}

// StoppedAll is what the mark of a deliberate stop says where programs have to end with the daemon.
const StoppedAll = "durablectl service stop --all\n"

const (
	socketName = "durable.sock"
	configName = "config.toml"
)

// In returns the paths of a daemon that keeps everything, socket and configuration too, in one folder.
func In(folder string) Paths {
	in := func(name string) string { return filepath.Join(folder, name) }
	return Paths{
		State:     folder,
		Socket:    socketIn(folder),
		Config:    in(configName),
		Store:     in("store.db"),
		Lock:      in("daemon.lock"),
		StartLock: in("start.lock"),
		Log:       in("durabled.log"),
		Stopped:   in("stopped"),
		Kinds:     in("kinds.json"),
		Tasks:     in("tasks"),
	}
}

// DefaultPaths returns the paths of this user's daemon, or of the one that the environment names. It
// touches no file. The error is a [task.InvalidArgument] for a relative path in the environment, and a
// [task.FailedPrecondition] when the user has no home.
func DefaultPaths() (Paths, error) {
	p, err := basePaths()
	if err != nil {
		return Paths{}, err
	}
	if s := os.Getenv(EnvSocket); s != "" {
		if err := checkName(EnvSocket, s); err != nil {
			return Paths{}, err
		}
		p.Socket = s
	}
	return p, nil
}

// Check says whether a daemon can listen on Socket: a path that is too long for the kernel is better refused
// before anything else is done.
func (p Paths) Check() error { return checkName("socket", p.Socket) }

func basePaths() (Paths, error) {
	if folder := os.Getenv(EnvHome); folder != "" {
		if !filepath.IsAbs(folder) {
			return Paths{}, task.Errorf(task.InvalidArgument, "%s=%s: not an absolute path", EnvHome, folder).
				WithHint("set %s to an absolute path: each program has a working folder of its own", EnvHome)
		}
		p := In(filepath.Clean(folder))
		p.Home = true
		return p, nil
	}
	home, err := homeDir()
	if err != nil {
		return Paths{}, err
	}
	return userPaths(home), nil
}

// homeDir falls back to the user database: a service or a scrubbed environment may lack HOME.
func homeDir() (string, error) {
	if home, err := os.UserHomeDir(); err == nil && filepath.IsAbs(home) {
		return home, nil
	}
	u, err := user.Current()
	if err != nil || !filepath.IsAbs(u.HomeDir) {
		return "", task.Errorf(task.FailedPrecondition, "this user has no home folder").
			WithHint("set %s to the folder that durable is to use", EnvHome)
	}
	return u.HomeDir, nil
}

// Find returns the paths of the daemon to talk to: the one at the explicit socket, if that is not
// empty; else the one that the environment names; else this user's if its socket is there; else the
// system service's, where its socket lets us in; else this user's, not running yet. It looks at files
// and dials nothing.
func Find(explicit string) (Paths, error) {
	p, err := DefaultPaths()
	switch {
	case err != nil:
		return Paths{}, err
	case explicit != "":
		if err := checkName("socket", explicit); err != nil {
			return Paths{}, err
		}
		p.Socket = explicit
		return p, nil
	case p.Home || os.Getenv(EnvSocket) != "":
		return p, nil
	}
	if system := SystemPaths(); !exists(p.Socket) && admits(system.Socket) {
		return system, nil
	}
	return p, nil
}

// UserPaths returns the paths of this user's daemon, whatever the environment names: those of his service.
func UserPaths() (Paths, error) {
	home, err := homeDir()
	if err != nil {
		return Paths{}, err
	}
	return userPaths(home), nil
}
