package command

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"durable/daemon/job"
	"durable/daemon/shim"
	"durable/ipc/task"
)

// runner runs orders: what the kinds of this package have in common.
type runner struct {
	opts   Options
	holder holder
}

// holder starts programs and finds them again: a shim.Launcher, but for tests.
type holder interface {
	Start(ctx context.Context, dir string, spec func() (shim.Spec, error)) (process, error)
	Recover(ctx context.Context, dir, nonce string) (process, shim.Verdict, error)
}

// launcher makes interfaces of a shim.Launcher's results.
type launcher struct{ shim.Launcher }

func (l launcher) Start(ctx context.Context, dir string, spec func() (shim.Spec, error)) (process, error) {
	return l.Launcher.Start(ctx, dir, spec)
}

func (l launcher) Recover(ctx context.Context, dir, nonce string) (process, shim.Verdict, error) {
	return l.Launcher.Recover(ctx, dir, nonce)
}

func newRunner(opts Options) runner {
	if opts.Tools == "" {
		if self, err := os.Executable(); err == nil {
			opts.Tools = filepath.Dir(self)
		}
	}
	return runner{opts, launcher{opts.Launcher}}
}

// base is the environment of a program whose caller brought none.
func (r *runner) base(ctx context.Context) []string {
	if r.opts.Environment != nil {
		return r.opts.Environment(ctx)
	}
	return os.Environ()
}

// process is a program under its holder: a *shim.Process.
type process interface {
	Wait(ctx context.Context) (shim.Exit, error)
	Stop(grace time.Duration) error
}

// places are the folders that a program gets.
type places struct{ attempt, checkpoint, artifacts string }

// make makes those beside the attempt's own. Those of an adopted program were there before it was: where they have been removed
// since, and cannot be made again (the disk is full), that is no reason to let go of the program.
func (at *places) make(j *job.Context) error {
	artifacts, err1 := j.ArtifactsDir()
	work, err2 := j.WorkDir()
	at.artifacts, at.checkpoint = artifacts, filepath.Join(work, "checkpoint")
	err := errors.Join(err1, err2, os.MkdirAll(at.checkpoint, 0o700))
	if j.Adopted() {
		return nil
	}
	return err
}

func formatUint(n uint64) string { return strconv.FormatUint(n, 10) }

// nonce names the start of an attempt: there is one.
func nonce(j *job.Context) string { return string(j.ID()) + "/" + strconv.Itoa(j.Attempt()) }

// attempt is one call of Run.
type attempt struct {
	*runner
	j     *job.Context
	o     order
	at    places
	saved *checkpoints
	told  atomic.Bool // see orphaned
}

// run does, or goes on with, an attempt of o.
func (r *runner) run(ctx context.Context, j *job.Context, o order) (any, error) {
	a := &attempt{runner: r, j: j, o: o}
	var err error
	if a.at.attempt, err = j.AttemptDir(); err != nil && !j.Adopted() {
		return nil, job.Unbegun(err)
	}
	if j.Adopted() {
		if err := a.prepare(); err != nil {
			return nil, err
		}
		return a.adopt(ctx)
	}
	var unready error
	p, err := r.holder.Start(ctx, a.at.attempt, func() (spec shim.Spec, err error) {
		if unready = a.prepare(); unready == nil {
			spec = r.spec(ctx, j, o, a.at)
		}
		return spec, unready
	})
	switch {
	case unready != nil:
		return nil, job.Unbegun(unready)
	case errors.Is(err, shim.ErrNotExecuted) && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, shim.ErrNotExecuted):
		return nil, job.Unbegun(notRun(err))
	case err != nil: // it may run: only its folder knows
		j.Logf("started, and no answer: %v", err)
		return a.adopt(ctx)
	}
	if err := j.Started(); err != nil {
		return a.unmarked(err)
	}
	return a.watch(ctx, p)
}

// prepare makes what the attempt needs before its program may run.
func (a *attempt) prepare() error {
	err := a.at.make(a.j)
	a.saved = newCheckpoints(a.j, a.at)
	return err
}

// unmarked is the end of a call that could not write down how far it is. The program goes on: so does the attempt.
func (a *attempt) unmarked(err error) (any, error) {
	if errors.Is(err, job.ErrFenced) {
		return nil, err
	}
	a.j.Logf("%v", err)
	return nil, job.ErrDetached
}

// notRun is the error of a program of which not one instruction ran.
func notRun(err error) error {
	e := *task.AsError(err)
	e.Message = Mask(e.Message)
	if e.Code == task.Internal {
		e.Code = task.Unavailable
	}
	return &e
}

// adopt finds out what has become of a program that was, or was to be, started before, and goes on from there.
func (a *attempt) adopt(ctx context.Context) (any, error) {
	p, verdict, err := a.recover(ctx)
	if err != nil {
		return nil, err
	}
	switch verdict {
	case shim.Running:
		if err := a.j.Started(); err != nil {
			return a.unmarked(err)
		}
		return a.watch(ctx, p)
	case shim.Orphaned:
		a.orphaned()
		return a.watch(ctx, p)
	case shim.NotStarted:
		if phase := a.j.Task().Phase; phase == task.PhaseRunning || phase == task.PhaseOrphaned {
			return nil, job.Ended(task.OutcomeLost, errors.New("the program ran, and its folder is gone: nobody knows how it ended"))
		}
		return nil, job.Ended(task.OutcomeInterrupted, errors.New("the daemon went down before the program was started"))
	}
	exit, err := p.Wait(context.WithoutCancel(ctx)) // answers at once
	if err == nil && (exit.Signal != "" || exit.Stopped) && a.otherBoot() {
		err = shim.ErrInterrupted // it was the shutdown that ended it
	}
	if err == nil && exit.Stopped && ctx.Err() == nil {
		// Told to end, and not by a cancel, which would have ended ctx: what it made of that is no end of its own.
		return nil, a.toldToEnd(exit)
	}
	f := a.follow(nil)
	f.finish()
	return a.judge(exit, err, f)
}

// toldToEnd is the end of a program that an earlier daemon has told to end: because its time was up, or because that daemon went with all
// programs, in the same boot.
func (a *attempt) toldToEnd(exit shim.Exit) error {
	t := a.j.Task()
	if t.Timeout > 0 && t.StartedAt != nil && !exit.Ended.Before(t.StartedAt.Add(time.Duration(t.Timeout))) {
		return job.Ended(task.OutcomeTimedOut, job.ErrTimeout)
	}
	return job.Ended(task.OutcomeInterrupted, job.ErrDown)
}

// Patience with a folder that does not say what has become of its program.
const (
	recoverPause = time.Second
	recoverMost  = time.Minute
)

// recover asks until there is an answer: without one the attempt has not ended, so that no other may begin. When
// the attempt is to end for good, it gives up after a while.
func (a *attempt) recover(ctx context.Context) (process, shim.Verdict, error) {
	asking, leave := context.WithCancel(context.WithoutCancel(ctx))
	defer leave()
	defer context.AfterFunc(ctx, func() {
		if leaves(ctx) {
			leave()
		}
	})()
	deadline := time.Time{}
	for pause := recoverPause; ; pause = min(2*pause, recoverMost) {
		p, verdict, err := a.holder.Recover(asking, a.at.attempt, nonce(a.j))
		if err == nil {
			return p, verdict, nil
		}
		if leaves(ctx) || a.leaving() {
			return nil, "", job.ErrDetached
		}
		a.j.Logf("cannot tell what has become of the program: %v", err)
		done := ctx.Done()
		if ctx.Err() != nil {
			switch {
			case deadline.IsZero():
				deadline = time.Now().Add(recoverMost)
			case time.Now().After(deadline):
				return nil, "", job.Ended(task.OutcomeLost, err)
			}
			done, pause = nil, recoverPause
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-done:
			timer.Stop()
		case <-a.j.Leaving():
			timer.Stop()
		}
	}
}

// leaving reports whether the daemon leaves, whatever else is to happen.
func (a *attempt) leaving() bool {
	select {
	case <-a.j.Leaving():
		return true
	default:
		return false
	}
}

// leaves reports whether ctx ended because the daemon leaves, not because the program has to end.
func leaves(ctx context.Context) bool {
	cause := context.Cause(ctx)
	return cause != nil && !errors.Is(cause, job.ErrCancelled) && !errors.Is(cause, job.ErrTimeout)
}

// orphaned notes, once, that the holder is gone: how the program ends cannot be seen any more.
func (a *attempt) orphaned() {
	if a.told.Swap(true) {
		return
	}
	a.j.Logf("the holder of the program is gone: the program goes on, how it ends will not be known")
	if err := a.j.Orphaned(); err != nil {
		a.j.Logf("%v", err)
	}
}

// ending is what Wait returned.
type ending struct {
	exit shim.Exit
	err  error
}

// known reports whether the program has ended, with an end that is known or never will be.
func (e ending) known() bool {
	return e.err == nil || errors.Is(e.err, shim.ErrLost) || errors.Is(e.err, shim.ErrInterrupted) || errors.Is(e.err, shim.ErrNotExecuted)
}

// wait waits for the end of p until waiting is done. An error that is no end (too many open files) says nothing of the
// program: it is asked again, as in recover; when the attempt is to end for good, that is given up after a while too.
func (a *attempt) wait(waiting, ctx context.Context, p process) ending {
	deadline := time.Time{}
	for pause := recoverPause; ; pause = min(2*pause, recoverMost) {
		exit, err := p.Wait(waiting)
		if end := (ending{exit, err}); end.known() || waiting.Err() != nil {
			return end
		}
		a.j.Logf("cannot tell what becomes of the program: %v", err)
		done := ctx.Done()
		if ctx.Err() != nil {
			if deadline.IsZero() {
				deadline = time.Now().Add(recoverMost)
			} else if time.Now().After(deadline) {
				return ending{err: err}
			}
			done, pause = nil, recoverPause
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-done:
		case <-waiting.Done():
		}
		timer.Stop()
	}
}

// watch waits for the end of a program that runs, or leaves it to go on.
func (a *attempt) watch(ctx context.Context, p process) (any, error) {
	if real, ok := p.(*shim.Process); ok {
		real.OnOrphan = a.orphaned
	}
	waiting, leave := context.WithCancel(context.WithoutCancel(ctx))
	defer leave()
	ended := make(chan ending, 1)
	go func() { ended <- a.wait(waiting, ctx, p) }()
	f := a.follow(a.opts.Watch)
	f.start()
	defer f.stop()
	var end ending
	select {
	case end = <-ended:
	case <-ctx.Done():
		if leaves(ctx) && !errors.Is(context.Cause(ctx), job.ErrDown) {
			return a.detach(ctx, leave, ended, f)
		}
		select {
		case end = <-ended: // by itself, a moment before
		default:
			if leaves(ctx) {
				return a.endWithMachine(p, ended, f)
			}
			return a.stop(ctx, p, leave, ended, f)
		}
	}
	f.finish()
	return a.judge(end.exit, end.err, f)
}

// detach leaves the program alone, unless it has ended just now. What a signal has ended may have gone down with the machine, as
// this daemon does: the next one knows.
func (a *attempt) detach(ctx context.Context, leave func(), ended <-chan ending, f *follower) (any, error) {
	leave()
	end := <-ended
	f.finish()
	a.saved.look(true)
	if end.known() && end.exit.Signal == "" {
		return a.judge(end.exit, end.err, f)
	}
	if errors.Is(context.Cause(ctx), job.ErrFenced) {
		return nil, job.ErrFenced
	}
	return nil, job.ErrDetached
}

// askAgain is how long a request to stop that could not be made waits for the next.
const askAgain = time.Second

// stop ends the program with all of its tree, and returns when nothing of it is left. Where the daemon leaves before that, the
// holder goes on with it, and the next daemon sees to it.
func (a *attempt) stop(ctx context.Context, p process, leave func(), ended <-chan ending, f *follower) (any, error) {
	grace := a.o.Grace
	if grace == 0 {
		grace = shim.DefaultGrace
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
		case <-a.j.Leaving():
			leave()
			if !(<-ended).known() {
				f.finish()
				return nil, job.ErrDetached
			}
		case <-ended:
		}
		f.finish()
		return nil, context.Cause(ctx)
	}
}
