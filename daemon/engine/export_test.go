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

// Open reports whether Run has come as far as to let submits begin.
func (e *Engine) Open() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.open
}

// SetOpen has submits begin before Run is there.
func (e *Engine) SetOpen() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open = true
}

// Swept reports whether the folders of tasks are made beside their commits by now.
func (e *Engine) Swept() bool { return e.swept.Load() }
