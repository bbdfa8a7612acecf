package client

import (
	"context"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"

	"durable/ipc/socket"
)

// startService starts the daemon by the service manager, where there is one that would start the same: the installed service, else,
// under systemd, a unit that lasts as long as the daemon does. Such a daemon does not live and die with the caller's control group,
// as a host's child would. Where this way is closed it has started nothing and returns nil.
func startService(ctx context.Context, program string, p socket.Paths) (*spawned, error) {
	if !ordinary(p) {
		return nil, nil
	}
	return startByManager(ctx, program, p)
}

// ordinary reports whether p are the paths that a service of this user's would find by itself: it has neither our environment nor
// a home that only we believe in.
func ordinary(p socket.Paths) bool {
	if p.Home || p.System {
		return false
	}
	own, err := socket.UserPaths()
	if err != nil || own.Socket != p.Socket || own.State != p.State {
		return false
	}
	u, err := user.Current()
	home, err2 := os.UserHomeDir()
	return err == nil && err2 == nil && filepath.Clean(u.HomeDir) == filepath.Clean(home)
}

// startInstalled runs the command that starts an installed service. What keeps that from starting keeps the next way from it too, or
// does not: in both cases that is where it shows.
func startInstalled(ctx context.Context, p socket.Paths, env []string, name string, args ...string) *spawned {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = env
	if cmd.Run() != nil {
		return nil
	}
	return &spawned{paths: p, service: true}
}
