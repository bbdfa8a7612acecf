package engine

import (
	"context"

	"durable/daemon/job"
	"durable/daemon/store"
	"durable/ipc/task"
)

// Cancel implements task.Service.
func (e *Engine) Cancel(ctx context.Context, ref task.Ref, req task.CancelRequest, key task.Key) (task.Task, error) {
	rec, err := e.change(ctx, ref, "cancel", key, req, func(tx *store.Tx, rec *store.Record) error {
		return e.cancelRecord(tx, rec, req.Reason)
	})
	if err != nil {
		return task.Task{}, err
	}
	e.cfg.Hook("cancel.committed")
	if rec.Task.Phase == task.PhaseStopping {
		e.endAttempt(rec.Task.ID, job.ErrCancelled)
	}
	e.settled(rec.Task)
	if rec.CleanPending {
		e.spawn(func() { e.clean(rec) })
	}
	return e.live.overlay(rec.Task), nil
}

// cancelRecord decides: from its commit on the task can only end cancelled.
func (e *Engine) cancelRecord(tx *store.Tx, rec *store.Record, reason string) error {
	t := &rec.Task
	switch {
	case t.Status == task.StatusCancelled || t.Phase == task.PhaseStopping:
		return errUnchanged
	case t.Status.Terminal():
		return task.Errorf(task.FailedPrecondition, "task %d has ended already: it is %s", t.Number, t.Status).
			WithHint("durablectl status %d", t.Number)
	}
	if err := step(rec, task.TriggerCancel); err != nil {
		return err
	}
	at := t.UpdatedAt
	t.CancelRequestedAt = &at
	t.Reason = reason
	t.NextAttemptAt, t.Approval = nil, nil
	if t.Status == task.StatusCancelled {
		t.Outcome = task.OutcomeCancelled
		e.conclude(rec, ending{outcome: t.Outcome})
	}
	return tx.Put(rec, task.EventStatus)
}

// Pause implements task.Service for tasks that are not running; a running one of this engine's
// kinds has nothing that could be held.
func (e *Engine) Pause(ctx context.Context, ref task.Ref, key task.Key) (task.Task, error) {
	rec, err := e.change(ctx, ref, "pause", key, nil, func(tx *store.Tx, rec *store.Record) error {
		switch {
		case rec.Task.Phase == task.PhasePaused:
			return errUnchanged
		case rec.Task.Status == task.StatusRunning:
			refusal := task.Errorf(task.Unimplemented, "task %d is running: a job of kind %s cannot be held", rec.Task.Number, rec.Task.Kind)
			if rec.Survives { // a program has a checkpoint only if it keeps one itself
				return refusal.WithHint("durablectl cancel %d ends it; durablectl retry starts it again", rec.Task.Number)
			}
			return refusal.WithHint("durablectl cancel %d; durablectl retry goes on from its checkpoint", rec.Task.Number)
		}
		if err := step(rec, task.TriggerPause); err != nil {
			return err
		}
		rec.Task.NextAttemptAt = nil
		return tx.Put(rec, task.EventStatus)
	})
	return rec.Task, err
}

// Resume implements task.Service.
func (e *Engine) Resume(ctx context.Context, ref task.Ref, key task.Key) (task.Task, error) {
	rec, err := e.change(ctx, ref, "resume", key, nil, func(tx *store.Tx, rec *store.Record) error {
		if rec.Task.Phase == task.PhaseQueued || rec.Task.Phase == task.PhaseRunning {
			return errUnchanged
		}
		if err := step(rec, task.TriggerResume); err != nil {
			return err
		}
		rec.Task.Reason = ""
		rec.Interruptions = 0
		return tx.Put(rec, task.EventStatus)
	})
	if err != nil {
		return task.Task{}, err
	}
	e.poke()
	return e.live.overlay(rec.Task), nil
}

// errUnchanged: the task is already where the call wants it; nothing is written.
var errUnchanged = task.Errorf(task.FailedPrecondition, "unchanged")

// change runs fn on a task's record in one transaction, once per key, and returns the record after it.
// fn writes the record itself, or returns errUnchanged, which is no error.
func (e *Engine) change(ctx context.Context, ref task.Ref, method string, key task.Key, req any, fn func(*store.Tx, *store.Record) error) (store.Record, error) {
	owner, err := e.authorise(ctx)
	if err != nil {
		return store.Record{}, err
	}
	once, err := newOnce(owner, method, key, [2]any{ref, req})
	if err != nil {
		return store.Record{}, err
	}
	var rec store.Record
	err = e.update(ctx, store.Essential, func(tx *store.Tx) error {
		if done, err := once.find(tx, &rec); done || err != nil {
			return err
		}
		found, err := resolve(tx, ref)
		if err != nil {
			return err
		}
		if err := once.keep(tx, found); err != nil {
			return err
		}
		switch err := fn(tx, found); err {
		case nil:
		case errUnchanged:
			if once.name != "" { // the record has a new key to remember
				if err := tx.Put(found, ""); err != nil {
					return err
				}
			}
		default:
			return err
		}
		rec = *found
		return nil
	})
	return rec, err
}

func resolve(tx *store.Tx, ref task.Ref) (*store.Record, error) {
	id, err := tx.Resolve(ref)
	if err != nil {
		return nil, err
	}
	return tx.Task(id)
}

// Forget implements task.Service.
func (e *Engine) Forget(ctx context.Context, ref task.Ref) error {
	if _, err := e.authorise(ctx); err != nil {
		return err
	}
	if rec, err := e.record(ref); err == nil {
		e.clean(rec) // a last try: what cannot be cleaned up must not hold the task for ever
		e.markForgotten(rec.Task)
	}
	var id task.ID
	err := e.update(ctx, store.Essential, func(tx *store.Tx) error {
		rec, err := resolve(tx, ref)
		if err != nil {
			return err
		}
		if !rec.Task.Status.Terminal() {
			return task.Errorf(task.FailedPrecondition, "task %d is %s", rec.Task.Number, describe(rec.Task)).
				WithHint("durablectl cancel %d first", rec.Task.Number)
		}
		if err := e.heirs(tx, rec.Task); err != nil {
			return err
		}
		id = rec.Task.ID
		return tx.Delete(id)
	})
	if err != nil {
		e.unmark(ref)
		return err
	}
	e.cfg.Hook("forget.committed")
	return e.removeFolder(id)
}

// Drain implements task.Service.
func (e *Engine) Drain(ctx context.Context, req task.DrainRequest) (task.Info, error) {
	if _, err := e.authorise(ctx); err != nil {
		return task.Info{}, err
	}
	e.mu.Lock()
	changed := e.draining == req.Resume
	e.draining = !req.Resume
	e.mu.Unlock()
	// What is being claimed has begun before the answer, and is seen in it: its transaction comes before this one.
	if err := e.update(ctx, store.Essential, func(tx *store.Tx) error {
		if !changed {
			return nil
		}
		message := "draining: nothing new is started"
		if req.Resume {
			message = "starting tasks again"
		}
		return tx.Append(task.Event{Time: now(), Type: task.EventDaemon, Message: message})
	}); err != nil {
		return task.Info{}, err
	}
	e.poke()
	return e.Info(ctx)
}

// announce journals an event about the daemon itself.
func (e *Engine) announce(ctx context.Context, message string) error {
	return e.update(ctx, store.Essential, func(tx *store.Tx) error {
		return tx.Append(task.Event{Time: now(), Type: task.EventDaemon, Message: message})
	})
}

// Backup implements task.Service.
func (e *Engine) Backup(ctx context.Context, req task.BackupRequest) (task.BackupResult, error) {
	if _, err := e.authorise(ctx); err != nil {
		return task.BackupResult{}, err
	}
	return e.store.Backup(ctx, req.Path, req.WithSecrets)
}

// Shutdown implements task.Service.
func (e *Engine) Shutdown(ctx context.Context, req task.ShutdownRequest) error {
	if _, err := e.authorise(ctx); err != nil {
		return err
	}
	if e.cfg.Shutdown == nil {
		return e.UnimplementedService.Shutdown(ctx, req)
	}
	e.cfg.Shutdown(req)
	return nil
}
