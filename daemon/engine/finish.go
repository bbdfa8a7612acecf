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
	t.UpdatedAt = now()
	count(rec, end.outcome)
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
	t.LastError = end.err
	recordAttempt(t, end)
	switch {
	case next.Phase == task.PhaseRetryWait:
		at := t.UpdatedAt.Add(retryDelay(t.Retry, rec.Failures))
		t.NextAttemptAt = &at
		if end.outcome == task.OutcomeSucceeded { // nothing is left of that to go on with
			t.Progress = task.Progress{}
			if err := tx.DropCheckpoint(t.ID); err != nil {
				return err
			}
		}
	case next.Status.Terminal():
		e.conclude(rec, end)
	}
	return tx.Put(rec, task.EventStatus)
}

// restartCalm is how long an attempt must have run for a restart policy to take its end for the first one in a row.
const restartCalm = 10 * time.Minute

// count keeps the number of ends in a row, which the backoff grows with. For the retry policy they are failures,
// and never forgotten: it has a limit. A restart policy has none, and may have a program that runs for weeks: its
// count begins anew after an attempt that ran for restartCalm, as a kubelet's does, and for RestartAlways a success
// is an end like any other. Neither is a service in a crash loop that three reboots in a week have interrupted.
func count(rec *store.Record, outcome task.Outcome) {
	t := &rec.Task
	restarts := t.Restart == task.RestartAlways || t.Restart == task.RestartOnFailure
	if restarts && t.StartedAt != nil && t.UpdatedAt.Sub(*t.StartedAt) >= restartCalm {
		rec.Failures, rec.Interruptions = 0, 0
	}
	if task.Outcomes[outcome].Counts && (outcome != task.OutcomeSucceeded || t.Restart == task.RestartAlways) {
		rec.Failures++
	}
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

// retryDelay is the wait before the attempt that follows the given number of failures. Without a policy the
// defaults count: a restart policy may ask for an attempt where there is no other.
func retryDelay(r *task.Retry, failures int) time.Duration {
	if r == nil {
		r = &task.Retry{}
	}
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
