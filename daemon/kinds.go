package daemon

import (
	"durable/daemon/job"
	"durable/daemon/job/migration"
	"durable/daemon/job/noop"
)

// Kinds returns the kinds that are built in.
func Kinds() []job.Kind {
	return []job.Kind{migration.New(), noop.Kind{}}
}
