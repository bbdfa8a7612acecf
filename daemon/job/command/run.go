package command

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
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

func (at *places) make(j *job.Context) (err error) {
	if at.artifacts, err = j.ArtifactsDir(); err != nil {
		return err
	}
	work, err := j.WorkDir()
	if err != nil {
		return err
	}
	at.checkpoint = filepath.Join(work, "checkpoint")
	return os.MkdirAll(at.checkpoint, 0o700)
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
}

// run does, or goes on with, an attempt of o.
func (r *runner) run(ctx context.Context, j *job.Context, o order) (any, error) {
	a := &attempt{runner: r, j: j, o: o}
	var err error
	if a.at.attempt, err = j.AttemptDir(); err != nil {
		return nil, err
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
		return nil, unready
	case errors.Is(err, shim.ErrNotExecuted) && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, shim.ErrNotExecuted):
		return nil, notRun(err)
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
		return nil, job.Ended(task.OutcomeInterrupted, errors.New("the daemon went down before the program was started"))
	}
	exit, err := p.Wait(context.WithoutCancel(ctx)) // answers at once
	if err == nil && exit.Signal != "" && a.otherBoot() {
		err = shim.ErrInterrupted // it was the shutdown that ended it
	}
	f := a.follow(nil)
	f.finish()
	return a.judge(exit, err, f)
}

// Patience with a folder that does not say what has become of its program.
const (
	recoverPause = time.Second
	recoverMost  = time.Minute
)

// recover asks until there is an answer: without one the attempt has not ended, so that no other may begin. When
// the attempt is to end for good, it gives up after a while.
func (a *attempt) recover(ctx context.Context) (process, shim.Verdict, error) {
	deadline := time.Time{}
	for pause := recoverPause; ; pause = min(2*pause, recoverMost) {
		p, verdict, err := a.holder.Recover(context.WithoutCancel(ctx), a.at.attempt, nonce(a.j))
		if err == nil {
			return p, verdict, nil
		}
		a.j.Logf("cannot tell what has become of the program: %v", err)
		done := ctx.Done()
		if ctx.Err() != nil {
			switch {
			case leaves(ctx):
				return nil, "", job.ErrDetached
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
		}
	}
}

// leaves reports whether ctx ended because the daemon leaves, not because the program has to end.
func leaves(ctx context.Context) bool {
	cause := context.Cause(ctx)
	return cause != nil && !errors.Is(cause, job.ErrCancelled) && !errors.Is(cause, job.ErrTimeout)
}

// orphaned notes that the holder is gone: how the program ends cannot be seen any more.
func (a *attempt) orphaned() {
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

// watch waits for the end of a program that runs, or leaves it to go on.
func (a *attempt) watch(ctx context.Context, p process) (any, error) {
	if real, ok := p.(*shim.Process); ok {
		real.OnOrphan = a.orphaned
	}
	waiting, leave := context.WithCancel(context.WithoutCancel(ctx))
	defer leave()
	ended := make(chan ending, 1)
	go func() {
		exit, err := p.Wait(waiting)
		ended <- ending{exit, err}
	}()
	f := a.follow(a.opts.Watch)
	f.start()
	defer f.stop()
	var end ending
	select {
	case end = <-ended:
	case <-ctx.Done():
		select {
		case end = <-ended: // by itself, a moment before
		default:
			if leaves(ctx) {
				return a.detach(ctx, leave, ended, f)
			}
			a.stop(p, ended)
			f.finish()
			return nil, context.Cause(ctx)
		}
	}
	f.finish()
	return a.judge(end.exit, end.err, f)
}

// detach leaves the program alone, unless it has ended just now.
func (a *attempt) detach(ctx context.Context, leave func(), ended <-chan ending, f *follower) (any, error) {
	leave()
	end := <-ended
	f.finish()
	a.saved.look(true)
	if known := end.err == nil || errors.Is(end.err, shim.ErrLost) || errors.Is(end.err, shim.ErrInterrupted); known {
		return a.judge(end.exit, end.err, f)
	}
	if errors.Is(context.Cause(ctx), job.ErrFenced) {
		return nil, job.ErrFenced
	}
	return nil, job.ErrDetached
}

// askAgain is how long a request to stop that could not be made waits for the next.
const askAgain = time.Second

// stop ends the program with all of its tree and returns when nothing of it is left.
func (a *attempt) stop(p process, ended <-chan ending) {
	grace := a.o.Grace
	if grace == 0 {
		grace = shim.DefaultGrace
	}
	for {
		err := p.Stop(grace)
		if err == nil {
			<-ended
			return
		}
		a.j.Logf("cannot stop the program: %v", err)
		timer := time.NewTimer(askAgain)
		select {
		case <-ended:
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}
