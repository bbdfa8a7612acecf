package engine

import (
	"context"
	"errors"

	"durable/daemon/job"
	"durable/daemon/store"
	"durable/ipc/task"
)

// Retry implements task.Service.
func (e *Engine) Retry(ctx context.Context, ref task.Ref, req task.RetryRequest, key task.Key) (task.Task, error) {
	owner, err := e.authorise(ctx)
	if err != nil {
		return task.Task{}, err
	}
	once, err := newOnce(owner, "retry", key, [2]any{ref, req})
	if err != nil {
		return task.Task{}, err
	}
	if t, done, err := e.repeated(once); done || err != nil {
		return t, err
	}
	old, err := e.record(ref)
	if err != nil {
		return task.Task{}, err
	}
	if !old.Task.Status.Terminal() {
		return task.Task{}, task.Errorf(task.FailedPrecondition, "task %d is %s: only a task that has ended can be repeated", old.Task.Number, describe(old.Task)).
			WithHint("durablectl cancel %d first, or wait for its end", old.Task.Number)
	}
	spec := specOf(old.Task)
	// What has completed has nothing left to go on with: its repetition begins anew.
	fresh := req.Fresh || old.Task.Status == task.StatusCompleted
	plan, err := e.planAgain(ctx, old.Task, fresh, req)
	if err != nil {
		return task.Task{}, err
	}
	rec := newRecord(spec, plan, owner, e.cfg.Host)
	effects := plan.Effects
	if len(effects) == 0 {
		effects = old.Effects // what goes on does what it did
	}
	if err := e.judge(ctx, &rec, effects); err != nil {
		return task.Task{}, err
	}
	rec.Task.RetryOf = old.Task.ID
	if !fresh {
		rec.Task.RootID = old.Task.RootID
	}
	return e.create(ctx, &rec, plan.Secrets, once, func(tx *store.Tx, made *store.Record) error {
		return linkRetry(tx, old.Task.ID, made, fresh)
	})
}

// planAgain makes the plan of a repetition. A Reviver always makes it itself: the old task's secrets are gone.
// Any other kind is asked only where the work begins anew.
func (e *Engine) planAgain(ctx context.Context, old task.Task, fresh bool, req task.RetryRequest) (job.Plan, error) {
	kind, err := e.kinds.find(old.Kind)
	reviver, ok := kind.(job.Reviver)
	switch {
	case err != nil:
		return job.Plan{}, err
	case ok:
		return reviver.Revive(ctx, old, req)
	case len(req.Env) > 0:
		return job.Plan{}, task.Errorf(task.InvalidArgument, "env: a job of kind %s takes no environment", old.Kind)
	case !fresh:
		return job.Plan{Title: old.Title, Params: old.Params, Retry: old.Retry}, nil
	}
	plan, err := kind.Prepare(ctx, specOf(old))
	if err != nil {
		return job.Plan{}, refusedAnew(old, err)
	}
	return plan, nil
}

// refusedAnew is err of a repetition from the beginning. The kind's own hint may name parameters to
// change, and a repetition has no others than the task had.
func refusedAnew(old task.Task, err error) error {
	var known *task.Error
	if !errors.As(err, &known) {
		return err
	}
	e := *known
	return e.WithHint("a retry has the parameters of task %d, and begins anew: clear the way first, or start a new task with others", old.Number)
}

// linkRetry ties a repetition to what it repeats: one at a time, from a copy of its checkpoint.
func linkRetry(tx *store.Tx, oldID task.ID, made *store.Record, fresh bool) error {
	old, err := tx.Task(oldID)
	if err != nil {
		return err
	}
	if err := refuseSecondRetry(tx, old); err != nil {
		return err
	}
	if !fresh {
		if err := refuseContinuing(tx, made); err != nil {
			return err
		}
	}
	old.Task.RetriedBy = made.Task.ID
	if err := tx.Put(old, task.EventStatus); err != nil || fresh {
		return err
	}
	data, err := tx.Checkpoint(oldID)
	if err != nil || data == nil {
		return err
	}
	return tx.PutCheckpoint(made.Task.ID, data)
}

// refuseSecondRetry guards what two attempts of one line would both write to.
func refuseSecondRetry(tx *store.Tx, old *store.Record) error {
	if old.Task.RetriedBy == "" {
		return nil
	}
	other, err := tx.Task(old.Task.RetriedBy)
	switch {
	case err != nil || other.Task.Status.Terminal() && other.Task.RetriedBy == "":
		return nil // forgotten, or ended: may be repeated once more
	case other.Task.Status.Terminal():
		return refuseSecondRetry(tx, other)
	}
	return task.Errorf(task.FailedPrecondition, "task %d repeats task %d already and is %s", other.Task.Number, old.Task.Number, describe(other.Task)).
		WithHint("durablectl watch %d", other.Task.Number)
}

// refuseContinuing keeps to made what it goes on with. All tasks of a line share that (a partial file is named by
// the root): only one of them may be unfinished, whoever repeats whom, and what one has completed would be
// done twice from the checkpoint of another.
func refuseContinuing(tx *store.Tx, made *store.Record) error {
	line, err := tx.List(task.ListQuery{
		Root: made.Task.RootID, Status: append([]task.Status{task.StatusCompleted}, task.Unfinished...), Limit: 2,
	})
	if err != nil {
		return err
	}
	for _, other := range line.Tasks {
		if other.ID == made.Task.ID {
			continue
		}
		refusal := task.Errorf(task.FailedPrecondition, "task %d goes on with the same work and is %s", other.Number, describe(other))
		if other.Status == task.StatusCompleted {
			return refusal.WithHint("nothing is left of it to go on with; to begin anew: durablectl retry %d", other.Number)
		}
		return refusal.WithHint("durablectl watch %d", other.Number)
	}
	return nil
}
