package engine

import (
	"context"

	"durable/daemon/job"
	"durable/ipc/task"
)

// AfterRead has fn called each time that a stream has looked into the journal.
func AfterRead(s task.EventStream, fn func()) { s.(*stream).looked = fn }

// Learn gives the engine another kind, as a reload does.
func (e *Engine) Learn(ctx context.Context, k job.Kind) error {
	kinds := []job.Kind{k}
	for _, known := range *e.kinds.byName.Load() {
		kinds = append(kinds, known)
	}
	return e.SetKinds(ctx, kinds)
}
