package daemon

import (
	"durable/daemon/config"
	"durable/daemon/job"
	"durable/daemon/job/migration"
	"durable/daemon/job/noop"
	"durable/ipc/task"
)

// Kinds returns the kinds that are built in.
func Kinds() []job.Kind {
	return []job.Kind{migration.New(), noop.Kind{}}
}

// Template makes a job kind of one that the user has defined.
func Template(name string, _ config.Kind) (job.Kind, error) {
	return nil, task.Errorf(task.Unimplemented, "kinds.%s: this daemon cannot run kinds of the user's own yet", name)
}
