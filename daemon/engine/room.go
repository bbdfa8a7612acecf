package engine

import (
	"context"
	"encoding/json"
	"time"

	"durable/daemon/job"
	"durable/daemon/store"
	"durable/ipc/task"
)

// performInRoom calls Run, again and again as long as it could not begin for want of space on the disk: what was accepted is not to fail of
// that, and no attempt of it is used up. The task's message says what it waits for.
func (a *attempt) performInRoom() (result json.RawMessage, panicked bool, err error) {
	before := a.e.live.current(a.rec.Task)
	wait := newBackoff(time.Second, 30*time.Second)
	for waited := false; ; waited = true {
		result, panicked, err = a.perform()
		if !job.IsUnbegun(err) || !store.NoSpace(err) {
			if waited && a.e.live.current(a.rec.Task).Message == waiting(before).Message {
				a.Progress(before) // the job itself has said nothing
			}
			return result, panicked, err
		}
		if !waited {
			a.e.log.Warn("an attempt waits for space on the disk", "task", a.rec.Task.Number, "error", err)
			a.Progress(waiting(before))
		}
		timer := time.NewTimer(wait.NextBackOff())
		select {
		case <-timer.C:
		case <-a.ctx.Done():
			timer.Stop()
			return nil, false, context.Cause(a.ctx)
		}
	}
}

// waiting is p with what an attempt waits for.
func waiting(p task.Progress) task.Progress {
	p.Message = "waiting for space on the disk"
	return p
}
