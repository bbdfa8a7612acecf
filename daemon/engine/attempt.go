package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"durable/daemon/job"
	"durable/daemon/store"
	"durable/ipc/task"
)

// attempt is one run of a task: a goroutine of this process. It holds a slot until Run has returned and
// its ending is committed.
type attempt struct {
	e      *Engine
	rec    store.Record // as it was when the attempt began
	kind   job.Kind
	ctx    context.Context
	cancel context.CancelCauseFunc
	out    *logFile
}

var _ job.Host = (*attempt)(nil)

func newAttempt(e *Engine, rec store.Record) *attempt {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &attempt{
		e: e, rec: rec, kind: e.kinds[rec.Task.Kind], ctx: ctx, cancel: cancel,
		out: newLogFile(e.logPath(rec.Task.ID, rec.Task.Attempt)),
	}
}

// end tells the job to return; the first cause counts.
func (a *attempt) end(cause error) { a.cancel(cause) }

// run does the attempt from beginning to committed end.
func (a *attempt) run() {
	defer a.cancel(nil)
	e, id := a.e, a.rec.Task.ID
	if limit := time.Duration(a.rec.Task.Timeout); limit > 0 {
		timer := time.AfterFunc(limit, func() { a.end(job.ErrTimeout) })
		defer timer.Stop()
	}
	e.live.begin(a.rec.Task)
	e.cfg.Hook("run.before")
	result, err := a.perform()
	e.cfg.Hook("run.returned")
	a.out.close(errors.Is(err, job.ErrDetached))
	done, err := e.finish(a, judge(a.ctx, result, err))
	e.mu.Lock()
	delete(e.running, id)
	e.mu.Unlock()
	e.live.forget(id)
	if err != nil {
		e.log.Error("the end of an attempt is not stored; it is recovered at the next start", "task", a.rec.Task.Number, "error", err)
		return
	}
	e.ended.Add(1)
	e.settled(done.Task)
	e.cfg.Hook("finish.notified")
	e.poke()
	e.clean(done)
}

// perform calls Run and contains its panics.
func (a *attempt) perform() (result json.RawMessage, err error) {
	defer func() {
		if r := recover(); r != nil {
			_, _ = fmt.Fprintf(a.out, "panic: %v\n\n%s", r, debug.Stack())
			err = task.Errorf(task.Internal, "the job panicked: %v", r).
				WithHint("its log has the stack: durablectl logs %d", a.rec.Task.Number)
		}
	}()
	v, err := a.kind.Run(a.ctx, job.NewContext(a, a.rec.Task))
	if err != nil || v == nil {
		return nil, err
	}
	result, err = json.Marshal(v)
	if err != nil {
		return nil, job.Permanent(fmt.Errorf("encode result: %w", err))
	}
	if len(result) > MaxResult {
		return nil, job.Permanent(task.Errorf(task.ResourceExhausted, "result of %d bytes: the limit is %d", len(result), MaxResult).
			WithHint("leave it as an artifact"))
	}
	return result, nil
}

// ending is what was seen of an attempt's end.
type ending struct {
	outcome   task.Outcome
	result    json.RawMessage
	err       *task.Error
	permanent bool
	clean     bool // the daemon saw it end: an interruption like that is no sign of a crash loop
}

// judge names the outcome. What Run returned comes first: a job that succeeded after it was told
// to stop has succeeded. An error under a done context is that context's doing.
func judge(ctx context.Context, result json.RawMessage, err error) ending {
	if err == nil {
		return ending{outcome: task.OutcomeSucceeded, result: result, clean: true}
	}
	end := ending{outcome: task.OutcomeFailed, err: shortened(task.AsError(err)), permanent: job.IsPermanent(err), clean: true}
	if ctx.Err() == nil || errors.Is(err, task.Internal) {
		return end
	}
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, job.ErrStop):
		end.outcome = task.OutcomeInterrupted
	case errors.Is(cause, job.ErrCancelled):
		end.outcome = task.OutcomeCancelled
	case errors.Is(cause, job.ErrTimeout):
		end.outcome = task.OutcomeTimedOut
		end.err = task.Errorf(task.Unavailable, "timed out").WithHint("raise the timeout: durablectl start ... --timeout 2h")
	}
	return end
}

// shortened bounds what the record has to carry of an error. The job may still hold err itself.
func shortened(err *task.Error) *task.Error {
	if len(err.Message) <= MaxError {
		return err
	}
	short := *err
	short.Message = strings.ToValidUTF8(err.Message[:MaxError], "") + " ..."
	return &short
}

// Progress implements job.Host.
func (a *attempt) Progress(p task.Progress) {
	ev := a.e.live.report(a.rec.Task, p)
	if errors.Is(context.Cause(a.ctx), job.ErrCancelled) {
		ev.Task.Phase = task.PhaseStopping
	}
	a.e.hub.progress(ev)
}

// Checkpoint implements job.Host.
func (a *attempt) Checkpoint(data []byte) error {
	a.e.cfg.Hook("checkpoint.before")
	err := a.e.update(context.Background(), store.Essential, func(tx *store.Tx) error {
		rec, err := a.current(tx)
		if err != nil {
			return err
		}
		if err := tx.PutCheckpoint(rec.Task.ID, data); err != nil {
			return err
		}
		rec.Interruptions = 0
		rec.Task.Progress = a.e.live.current(rec.Task)
		rec.Task.UpdatedAt = now()
		return tx.Put(rec, task.EventCheckpoint)
	})
	if errors.Is(err, errNotRunning) {
		a.end(job.ErrFenced)
		return job.ErrFenced
	}
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	a.e.cfg.Hook("checkpoint.committed")
	return nil
}

// current returns the task's record if this attempt is still the one that owns it.
func (a *attempt) current(tx *store.Tx) (*store.Record, error) {
	rec, err := tx.Task(a.rec.Task.ID)
	if err != nil {
		return nil, err
	}
	if rec.Task.Status != task.StatusRunning || rec.Task.Attempt != a.rec.Task.Attempt || rec.Nonce != a.rec.Nonce {
		return nil, errNotRunning
	}
	return rec, nil
}

// Load implements job.Host.
func (a *attempt) Load() (data []byte, err error) {
	err = a.e.store.View(func(tx *store.Tx) error {
		data, err = tx.Checkpoint(a.rec.Task.ID)
		return err
	})
	return data, err
}

// Secrets implements job.Host.
func (a *attempt) Secrets() (data []byte, err error) {
	err = a.e.store.View(func(tx *store.Tx) error {
		data, err = tx.Secrets(a.rec.Task.ID)
		return err
	})
	return data, err
}

// Log implements job.Host.
func (a *attempt) Log() io.Writer { return a.out }

// ArtifactsDir implements job.Host.
func (a *attempt) ArtifactsDir() (string, error) { return a.e.folder(a.rec.Task.ID, artifactsFolder) }

// WorkDir implements job.Host.
func (a *attempt) WorkDir() (string, error) { return a.e.folder(a.rec.Task.ID, workFolder) }

// AttemptDir implements job.Host.
func (a *attempt) AttemptDir() (string, error) {
	return a.e.folder(a.rec.Task.ID, strconv.Itoa(a.rec.Task.Attempt))
}

// Adopted implements job.Host.
func (a *attempt) Adopted() bool { return false }

// Mark implements job.Host.
func (a *attempt) Mark(task.Trigger) error { return nil }

// Ask implements job.Host.
func (a *attempt) Ask(task.Question) (json.RawMessage, error) {
	return nil, task.Errorf(task.Unimplemented, "ask: this daemon cannot put questions yet")
}
