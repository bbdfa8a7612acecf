package daemon

import (
	"context"
	"os"
	"path/filepath"

	"durable/daemon/config"
	"durable/daemon/job"
	"durable/daemon/job/batch"
	"durable/daemon/job/command"
	"durable/daemon/job/migration"
	"durable/daemon/job/noop"
	"durable/daemon/job/training"
	"durable/daemon/shim"
	"durable/ipc/socket"
)

// Kinds returns the kinds that are built in and need nothing of a daemon. Each daemon has [ProgramKinds] besides.
func Kinds() []job.Kind {
	return []job.Kind{migration.New(), noop.Kind{}}
}

// ProgramKinds returns the kinds that are built in and run programs.
func ProgramKinds(opts command.Options) []job.Kind {
	return []job.Kind{command.New(opts), batch.New(opts), training.New(opts)}
}

// spareFolder, in the state folder, becomes the folder of the next command's attempt.
const spareFolder = "spare"

// settings returns what the configuration decides, with all kinds that this daemon has before it is read.
func (d *Daemon) settings(watcher command.Watcher) *settings {
	set := newSettings(d.cfg)
	d.spare.Dir = filepath.Join(d.cfg.Paths.State, spareFolder)
	opts := command.Options{
		Launcher: shim.Launcher{Hook: d.cfg.Hook, Spare: &d.spare, Groups: shim.DelegatedGroups()}, Watch: watcher, Limits: &d.limits,
		Environment: func(context.Context) []string { return set.env.Base() },
		// Who moved the daemon with DURABLE_HOME wants its programs to find this one; the socket alone would do but for
		// durablectl's own files.
		Home: os.Getenv(socket.EnvHome), Socket: d.cfg.Paths.Socket,
	}
	set.cfg.Kinds = append(ProgramKinds(opts), d.cfg.Kinds...)
	if set.cfg.Template == nil {
		set.cfg.Template = func(k config.Kind) (job.Kind, error) { return command.NewTemplate(k, opts) }
	}
	return set
}
