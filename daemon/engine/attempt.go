package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"durable/daemon/job"
	"durable/daemon/store"
	"durable/ipc/task"
)

// attempt is one run of a task: a goroutine of this process. It holds a slot until Run has returned and
// its ending is committed.
type attempt struct {
	e        *Engine
	rec      store.Record // as it was when the attempt began, or was found
	kind     job.Kind
	survives bool // kind is a job.Survivor
	adopted  bool // an earlier daemon began it; changes only while no Run is under way
	ctx      context.Context
	cancel   context.CancelCauseFunc
	out      *logFile
	clock    deadline
	input    chan struct{} // capacity 1: held by who gives it input
	returned chan struct{} // closed when Run has returned for good

	marking sync.Mutex // held by Mark, so that phase follows the commits in their order

	mu       sync.Mutex
	phase    task.Phase // the record's, as far as it is known here
	detached bool       // it goes on without this daemon
}

var _ job.Host = (*attempt)(nil)

func newAttempt(e *Engine, rec store.Record) *attempt {
	ctx, cancel := context.WithCancelCause(context.Background())
	a := &attempt{
		e: e, rec: rec, kind: e.kinds.named(rec.Task.Kind), survives: rec.Survives, phase: rec.Task.Phase, ctx: ctx, cancel: cancel,
		out:   newLogFile(e.logPath(rec.Task.ID, rec.Task.Attempt)),
		input: make(chan struct{}, 1), returned: make(chan struct{}),
	}
	a.clock.end = func() { a.end(job.ErrTimeout) }
	return a
}

// end tells the job to return; the first cause counts.
func (a *attempt) end(cause error) {
	if errors.Is(cause, job.ErrCancelled) {
		a.enter(task.PhaseStopping)
	}
	a.cancel(cause)
}

// enter notes the phase that was committed. From stopping there is no way back.
func (a *attempt) enter(phase task.Phase) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.phase != task.PhaseStopping {
		a.phase = phase
	}
}

// run does the attempt from beginning to committed end.
func (a *attempt) run() {
	defer a.cancel(nil)
	e, id := a.e, a.rec.Task.ID
	a.clock.start(a.rec.Task, a.adopted)
	defer a.clock.stop()
	e.live.begin(a.rec.Task)
	e.cfg.Hook("run.before")
	result, err := a.watch()
	e.cfg.Hook("run.returned")
	if errors.Is(err, job.ErrDetached) {
		a.leave()
		return
	}
	close(a.returned)
	a.out.close(false)
	done, err := e.finish(a, judge(a.ctx, a.survives, result, err))
	e.live.forget(id)
	e.vacate(a)
	if err != nil {
		e.poke() // its slot is free all the same
		e.log.Error("the end of an attempt is not stored; it is recovered at the next start", "task", a.rec.Task.Number, "error", err)
		return
	}
	e.ended.Add(1)
	e.settled(done.Task)
	e.cfg.Hook("finish.notified")
	e.poke()
	e.clean(done)
}

// leave lets the work go on without this daemon: the record stays as it is, for the next daemon to find, and so
// does the attempt in Engine.running, for those who still ask this one.
func (a *attempt) leave() {
	a.mu.Lock()
	a.detached = true
	a.mu.Unlock()
	a.out.close(true)
}

// watchTries is how often Run of a Survivor may panic before its attempt is given up as lost, watchPause the
// wait between two calls of it.
const (
	watchTries = 3
	watchPause = time.Second
)

// watch calls Run. That of a Survivor is called again, as if adopted, where it has let go of work that goes on
// though nobody told it to: the work must not be forgotten because who watched it has met a defect of ours.
func (a *attempt) watch() (result json.RawMessage, err error) {
	for tries := 1; ; tries++ {
		var panicked bool
		result, panicked, err = a.performInRoom()
		detached := errors.Is(err, job.ErrDetached)
		switch {
		case !a.survives && detached:
			return nil, task.Errorf(task.Internal, "a job of kind %s cannot go on without the daemon", a.rec.Task.Kind)
		case !a.survives || !detached && !panicked:
			return result, err
		case detached && (errors.Is(context.Cause(a.ctx), job.ErrStop) || a.e.leaving()):
			return nil, job.ErrDetached
		case panicked && tries == watchTries:
			return nil, job.Ended(task.OutcomeLost, err)
		}
		a.e.log.Error("an attempt is left alone though nobody said so; it is watched again", "task", a.rec.Task.Number, "error", err)
		if !a.e.sleep(watchPause) {
			return nil, job.ErrDetached
		}
		a.adopted = true
	}
}

// perform calls Run and contains its panics.
func (a *attempt) perform() (result json.RawMessage, panicked bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			_, _ = fmt.Fprintf(a.out, "panic: %v\n\n%s", r, debug.Stack())
			panicked = true
			err = task.Errorf(task.Internal, "the job panicked: %v", r).
				WithHint("its log has the stack: durablectl logs %d", a.rec.Task.Number)
		}
	}()
	if err := a.prepare(); err != nil {
		return nil, false, err
	}
	v, err := a.kind.Run(a.ctx, job.NewContext(a, a.rec.Task))
	if err != nil || v == nil {
		return nil, false, err
	}
	result, err = json.Marshal(v)
	if err != nil {
		return nil, false, job.Permanent(fmt.Errorf("encode result: %w", err))
	}
	if len(result) > MaxResult {
		return nil, false, job.Permanent(task.Errorf(task.ResourceExhausted, "result of %d bytes: the limit is %d", len(result), MaxResult).
			WithHint("leave it as an artifact"))
	}
	return result, false, nil
}

// prepare makes the folders that Run finds. A log is made at its first write only: most short tasks say nothing.
func (a *attempt) prepare() error {
	if a.adopted {
		return nil // what it goes on from was there before its program was; what is not is no reason to let go of that
	}
	if a.survives {
		if _, err := a.AttemptDir(); err != nil {
			return job.Unbegun(folderError(err))
		}
	}
	return job.Unbegun(a.e.inherit(a.ctx, a.rec.Task))
}
