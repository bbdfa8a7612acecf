package engine

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"durable/daemon/job"
	"durable/daemon/store"
	"durable/ipc/task"
)

// finish commits the end of an attempt. A full disk is waited out, because an ending must not be
// lost while the process lives; any other failure of a commit ends the engine.
func (e *Engine) finish(a *attempt, end ending) (store.Record, error) {
	var done store.Record
	e.cfg.Hook("finish.before")
	try := func() error {
		return e.update(context.Background(), store.Essential, func(tx *store.Tx) error {
			rec, err := a.current(tx)
			if err != nil {
				return err
			}
			rec.Task.Progress = e.live.current(rec.Task)
			if err := e.settle(tx, rec, end); err != nil {
				return err
			}
			done = *rec
			return nil
		})
	}
	err := try()
	for wait := newBackoff(time.Second, 30*time.Second); errors.Is(err, task.ResourceExhausted); err = try() {
		if !e.sleep(wait.NextBackOff()) {
			return done, err
		}
	}
	if err == nil {
		e.cfg.Hook("finish.committed")
	}
	return done, err
}

// sleep waits d and reports false if the engine ends first.
func (e *Engine) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return !e.storeFailed()
	case <-e.hub.closed:
		return false
	case <-e.store.Failed():
		return false
	}
}

// settle writes what follows from the end of rec's attempt: the only place where an attempt ends, live or
// recovered.
func (e *Engine) settle(tx *store.Tx, rec *store.Record, end ending) error {
	t := &rec.Task
	if task.Outcomes[end.outcome].Counts && end.outcome != task.OutcomeSucceeded {
		rec.Failures++
	}
	switch {
	case end.outcome != task.OutcomeInterrupted:
		rec.Interruptions = 0 // an attempt that ended by itself breaks the row
	case !end.clean:
		rec.Interruptions++
	}
	next, reason := task.Settle(end.outcome, task.Settlement{
		CancelRequested: t.CancelRequestedAt != nil,
		RetryAllowed:    !end.permanent && t.Retry != nil && rec.Failures < t.Retry.MaxAttempts,
		RetryLost:       t.Retry != nil && t.Retry.Lost,
		Restart:         t.Restart,
		Permanent:       end.permanent,
		CrashLoop:       rec.Interruptions >= task.CrashLoopLimit,
	})
	t.Status, t.Phase, t.Outcome = next.Status, next.Phase, end.outcome
	if reason != "" {
		t.Reason = reason
	}
	t.UpdatedAt = now()
	t.LastError = end.err
	if end.outcome == task.OutcomeSucceeded {
		t.LastError = nil
	}
	recordAttempt(t, end)
	switch {
	case next.Phase == task.PhaseRetryWait:
		at := t.UpdatedAt.Add(retryDelay(t.Retry, rec.Failures))
		t.NextAttemptAt = &at
	case next.Status.Terminal():
		e.conclude(rec, end)
	}
	return tx.Put(rec, task.EventStatus)
}

// conclude fills in what only an ended task has.
func (e *Engine) conclude(rec *store.Record, end ending) {
	t := &rec.Task
	ended := t.UpdatedAt
	t.CompletedAt = &ended
	t.NextAttemptAt = nil
	switch t.Status {
	case task.StatusCompleted:
		t.Result = end.result
	case task.StatusFailed:
		t.Error = end.err
		if t.Error == nil {
			t.Error = task.Errorf(task.Unavailable, "the attempt ended %s", end.outcome)
		}
	}
	t.Progress.ETA = nil
	_, rec.CleanPending = e.kinds.named(t.Kind).(job.Cleaner)
}

// recordAttempt adds the attempt that has ended to the task's history.
func recordAttempt(t *task.Task, end ending) {
	a := task.Attempt{Number: t.Attempt, EndedAt: t.UpdatedAt, Outcome: end.outcome}
	if t.StartedAt != nil {
		a.StartedAt = *t.StartedAt
	}
	if end.err != nil {
		a.Error = end.err.Message
	}
	t.Attempts = append(t.Attempts, a)
	if extra := len(t.Attempts) - MaxAttemptsKept; extra > 0 {
		t.Attempts = append([]task.Attempt(nil), t.Attempts[extra:]...)
	}
}

// retryDelay is the wait before the attempt that follows the given number of failures.
func retryDelay(r *task.Retry, failures int) time.Duration {
	first, most := time.Duration(r.Backoff), time.Duration(r.MaxBackoff)
	if first == 0 {
		first = time.Duration(task.DefaultBackoff)
	}
	if most == 0 {
		most = max(first, time.Duration(task.DefaultMaxBackoff))
	}
	b := newBackoff(first, most)
	wait := b.NextBackOff()
	for i := 1; i < failures && i < 64; i++ {
		wait = b.NextBackOff()
	}
	if wait < 0 { // jitter has carried it beyond what a Duration holds
		return most
	}
	return min(wait, most)
}

func newBackoff(first, most time.Duration) *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = first, most
	b.Multiplier, b.RandomizationFactor = 2, 0.2
	b.Reset()
	return b
}

// clean lets the kind remove what had to stay until the end was durable.
func (e *Engine) clean(rec store.Record) {
	cleaner, ok := e.kinds.named(rec.Task.Kind).(job.Cleaner)
	if !ok || !rec.CleanPending {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), e.cfg.StopGrace)
	defer cancel()
	if err := cleaner.Clean(ctx, rec.Task); err != nil {
		e.log.Warn("cleaning up after a task; it is tried again at the next start", "task", rec.Task.Number, "error", err)
		return
	}
	e.cfg.Hook("clean.done")
	err := e.update(ctx, store.Essential, func(tx *store.Tx) error {
		rec, err := tx.Task(rec.Task.ID)
		if err != nil {
			return err
		}
		rec.CleanPending = false
		return tx.Put(rec, "")
	})
	if err != nil {
		e.log.Warn("noting that a task is cleaned up", "task", rec.Task.Number, "error", err)
	}
}
