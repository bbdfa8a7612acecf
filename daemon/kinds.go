package daemon

import (
	"context"
	"os"

	"durable/daemon/config"
	"durable/daemon/job"
	"durable/daemon/job/command"
	"durable/daemon/job/migration"
	"durable/daemon/job/noop"
	"durable/daemon/shim"
	"durable/ipc/socket"
)

// Kinds returns the kinds that are built in and need nothing of a daemon. Each daemon has the kind command besides.
func Kinds() []job.Kind {
	return []job.Kind{migration.New(), noop.Kind{}}
}

// commandOptions are what the programs of a daemon are run with.
func (d *Daemon) commandOptions(watcher command.Watcher, environment func(context.Context) []string) command.Options {
	return command.Options{
		Launcher: shim.Launcher{Hook: d.cfg.Hook}, Watch: watcher, Environment: environment, Limits: &d.limits,
		// Who moved the daemon with DURABLE_HOME wants its programs to find this one; the socket alone would do but for
		// durablectl's own files.
		Home: os.Getenv(socket.EnvHome), Socket: d.cfg.Paths.Socket,
	}
}

// kinds returns all that the daemon can run: those of its Config, command, and those that its user has defined.
func (d *Daemon) kinds(opts command.Options, defined []config.Kind) ([]job.Kind, error) {
	all := append([]job.Kind{command.New(opts)}, d.cfg.Kinds...)
	for _, k := range defined {
		template, err := command.NewTemplate(k, opts)
		if err != nil {
			return nil, err
		}
		all = append(all, template)
	}
	return all, nil
}
