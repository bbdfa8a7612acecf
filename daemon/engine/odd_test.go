package engine_test

import (
	"context"
	"sync/atomic"

	"durable/daemon/job"
	"durable/ipc/task"
)

// early reports progress before its program is up.
type early struct {
	survivor
	reports chan struct{}
}

func (k early) Run(ctx context.Context, j *job.Context) (any, error) {
	j.Progress(task.Progress{Message: "looking for it"})
	<-k.reports
	return k.survivor.Run(ctx, j)
}

// marker says more than once that it has started.
type marker struct {
	survivor
	marks chan error
}

func (k marker) Run(_ context.Context, j *job.Context) (any, error) {
	for range 3 {
		k.marks <- j.Started()
	}
	return nil, nil
}

// careless lets go of its program, or panics, as often as it is told to.
type careless struct {
	survivor
	slips  *atomic.Int32
	panics bool
}

func (k careless) Run(ctx context.Context, j *job.Context) (any, error) {
	if k.slips.Add(-1) < 0 {
		return k.survivor.Run(ctx, j)
	}
	dir, err := j.AttemptDir()
	if err != nil {
		return nil, err
	}
	if p := k.w.at(dir); p.starts == 0 {
		p.starts++
	}
	if k.panics {
		panic("ouch")
	}
	return nil, job.ErrDetached
}
