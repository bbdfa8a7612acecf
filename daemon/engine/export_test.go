package engine

import (
	"durable/daemon/job"
	"durable/ipc/task"
)

// AfterRead has fn called each time that a stream has looked into the journal.
func AfterRead(s task.EventStream, fn func()) { s.(*stream).looked = fn }

// Learn gives the engine another kind, as a reload does.
func (e *Engine) Learn(k job.Kind) {
	e.mu.Lock()
	e.kinds[k.Describe().Name] = k
	e.mu.Unlock()
	e.poke()
}
