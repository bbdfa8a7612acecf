package engine

import (
	"context"
	"fmt"
	"time"

	"durable/daemon/store"
	"durable/ipc/task"
)

// Policy has a say in what tasks do.
type Policy interface {
	// Judge says whether a person has to be asked before a task with these effects may start; an error, that
	// it must not be.
	Judge(caller task.Caller, effects []task.Effect) (ask bool, err error)
	// Remember lets effects pass from now on, where Judge would have asked. It is durable when it returns.
	Remember(effects []task.Effect) error
}

// ApprovalWait is how long a task waits for a person's yes.
const ApprovalWait = 24 * time.Hour

// judge refuses rec, a task that is to be created, or lets it wait for a person. effects are kept: a repetition of the
// task is judged by them, under the policy and the caller of that day.
func (e *Engine) judge(ctx context.Context, rec *store.Record, effects []task.Effect) error {
	rec.Effects = effects
	if e.cfg.Policy == nil {
		return nil
	}
	caller, _ := task.CallerFrom(ctx)
	ask, err := e.cfg.Policy.Judge(caller, effects)
	if err != nil || !ask {
		return err
	}
	asked := now()
	rec.Task.Phase = task.PhaseAwaitingApproval
	rec.Task.Approval = &task.Approval{Effects: effects, AskedAt: asked, ExpiresAt: asked.Add(ApprovalWait)}
	return nil
}

// Approve implements task.Service. What is to hold always is remembered before the task goes on; a task that has not
// ended and waits for no yes stays as it is.
func (e *Engine) Approve(ctx context.Context, ref task.Ref, req task.ApproveRequest, key task.Key) (task.Task, error) {
	if _, err := e.authorise(ctx); err != nil {
		return task.Task{}, err
	}
	if req.Always && e.cfg.Policy != nil {
		rec, err := e.record(ref)
		if err == nil && !rec.Task.Status.Terminal() {
			err = e.cfg.Policy.Remember(rec.Effects)
		}
		if err != nil {
			return task.Task{}, err
		}
	}
	rec, err := e.change(ctx, ref, "approve", key, req, func(tx *store.Tx, rec *store.Record) error {
		t := &rec.Task
		switch {
		case t.Status.Terminal() && t.Reason == task.ReasonNotApproved:
			return task.Errorf(task.FailedPrecondition, "task %d has ended: it was %s", t.Number, t.Reason).
				WithHint("durablectl retry %d asks anew", t.Number)
		case t.Status.Terminal():
			return task.Errorf(task.FailedPrecondition, "task %d has ended already: it is %s", t.Number, t.Status).
				WithHint("durablectl status %d", t.Number)
		case t.Phase != task.PhaseAwaitingApproval:
			return errUnchanged
		}
		if err := step(rec, task.TriggerApprove); err != nil {
			return err
		}
		t.Approval = nil
		return tx.Put(rec, task.EventStatus)
	})
	if err != nil {
		return task.Task{}, err
	}
	e.poke()
	return e.live.overlay(rec.Task), nil
}

// expire ends a task that nobody has allowed in time.
func (e *Engine) expire(tx *store.Tx, rec *store.Record) error {
	if err := step(rec, task.TriggerCancel); err != nil {
		return err
	}
	t := &rec.Task
	t.Outcome, t.Reason, t.Approval = task.OutcomeCancelled, task.ReasonNotApproved, nil
	e.conclude(rec, ending{outcome: t.Outcome})
	return tx.Put(rec, task.EventStatus)
}

// Of the tasks that wait for a yes, askingShown are named; askingCounted bounds how many are counted.
const (
	askingShown   = 5
	askingCounted = 1000
)

// asking tells a person which tasks wait for his yes, and what to type.
func (e *Engine) asking() []string {
	var lines []string
	err := e.store.View(func(tx *store.Tx) error {
		lines = nil
		ids, err := tx.Asking(askingCounted)
		if err != nil {
			return err
		}
		for _, id := range ids[:min(askingShown, len(ids))] {
			if rec, err := tx.Task(id); err == nil {
				n := rec.Task.Number
				lines = append(lines, fmt.Sprintf("%d waits for your approval: durablectl approve %d", n, n))
			}
		}
		if more := len(ids) - askingShown; more > 0 {
			lines = append(lines, fmt.Sprintf("%d more wait for your approval: durablectl list --status pending", more))
		}
		return nil
	})
	if err != nil {
		e.log.Warn("looking for tasks that wait for an approval", "error", err)
	}
	return lines
}
