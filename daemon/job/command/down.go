package command

import (
	"time"

	"durable/daemon/job"
	"durable/ipc/task"
)

// downGrace is what programs have between SIGTERM and SIGKILL when the machine goes down: the daemon's own time is short then.
const downGrace = 5 * time.Second

// endWithMachine ends the program before the machine does, so that nobody waits for it, and what it made of that is not taken for an end
// of its own. Should the daemon be gone before that, the next one finds another boot, or a holder that was told.
func (a *attempt) endWithMachine(p process, ended <-chan ending, f *follower) (any, error) {
	grace := downGrace
	if a.o.Grace > 0 {
		grace = min(grace, a.o.Grace)
	}
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-again.C:
			if err := p.Stop(grace); err != nil {
				a.j.Logf("cannot stop the program: %v", err)
				again.Reset(askAgain)
			}
			continue
		case end := <-ended:
			f.finish()
			a.saved.look(true)
			switch {
			case !end.known(): // it may live on
				return nil, job.ErrDetached
			case end.err == nil && !end.exit.Stopped && end.exit.Signal == "": // by itself, before anybody could tell it
				return a.judge(end.exit, end.err, f)
			}
			return nil, job.Ended(task.OutcomeInterrupted, job.ErrDown)
		}
	}
}
