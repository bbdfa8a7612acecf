package engine

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"durable/daemon/job"
	"durable/daemon/store"
	"durable/ipc/task"
)

// Submit implements task.Service.
func (e *Engine) Submit(ctx context.Context, spec task.Spec, key task.Key) (task.Task, error) {
	owner, err := e.authorise(ctx)
	if err != nil {
		return task.Task{}, err
	}
	if err := spec.Validate(); err != nil {
		return task.Task{}, err
	}
	kind, err := e.kind(spec.Kind)
	if err != nil {
		return task.Task{}, err
	}
	spec.Kind = kind.Describe().Name
	if err := unsupported(spec); err != nil {
		return task.Task{}, err
	}
	once, err := newOnce(owner, "submit", key, spec)
	if err != nil {
		return task.Task{}, err
	}
	plan, err := kind.Prepare(ctx, spec)
	if err != nil {
		return e.orRepeated(once, err)
	}
	t, err := e.create(ctx, newRecord(spec, plan, owner, e.cfg.Host), plan.Secrets, once, nil)
	if err != nil {
		return e.orRepeated(once, err)
	}
	return t, nil
}

// orRepeated answers what was refused, if it repeats what was accepted: by now the first run may have made
// what Prepare refuses, or filled the disk. A repetition that nothing refuses is found by create. It is not looked
// for before that, since nearly every key is new.
func (e *Engine) orRepeated(o once, refusal error) (task.Task, error) {
	if t, done, err := e.repeated(o); done {
		return t, err
	}
	return task.Task{}, refusal
}

// create commits a new task. extra, if set, runs in the same transaction after the record was made.
func (e *Engine) create(ctx context.Context, rec store.Record, secrets []byte, once once, extra func(*store.Tx, *store.Record) error) (task.Task, error) {
	var made store.Record
	var again bool
	e.cfg.Hook("submit.before")
	err := e.update(ctx, store.Admission, func(tx *store.Tx) (err error) {
		made = rec // the closure may run again: start from a copy each time
		if again, err = once.find(tx, &made); again || err != nil {
			return err
		}
		if err := once.keep(tx, &made); err != nil {
			return err
		}
		if err := tx.Create(&made); err != nil {
			return err
		}
		if len(secrets) > 0 {
			if err := tx.PutSecrets(made.Task.ID, secrets); err != nil {
				return err
			}
		}
		if extra != nil {
			return extra(tx, &made)
		}
		return nil
	})
	if err != nil {
		return task.Task{}, err
	}
	if again {
		return e.live.overlay(made.Task), nil
	}
	e.cfg.Hook("submit.committed")
	e.submitted.Add(1)
	e.poke()
	return made.Task, nil
}

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
	plan := job.Plan{Title: old.Task.Title, Params: old.Task.Params, Retry: old.Task.Retry}
	// What has completed has nothing left to go on with: its repetition begins anew.
	fresh := req.Fresh || old.Task.Status == task.StatusCompleted
	if fresh {
		kind, err := e.kind(spec.Kind)
		if err != nil {
			return task.Task{}, err
		}
		if plan, err = kind.Prepare(ctx, spec); err != nil {
			return task.Task{}, refusedAnew(old.Task, err)
		}
	}
	rec := newRecord(spec, plan, owner, e.cfg.Host)
	rec.Task.RetryOf = old.Task.ID
	if !fresh {
		rec.Task.RootID = old.Task.RootID
	}
	return e.create(ctx, rec, plan.Secrets, once, func(tx *store.Tx, made *store.Record) error {
		return linkRetry(tx, old.Task.ID, made, fresh)
	})
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

// kind finds a kind by name or by the alias that people type.
func (e *Engine) kind(name string) (job.Kind, error) {
	if k, ok := e.kinds[name]; ok {
		return k, nil
	}
	var known []string
	for n, k := range e.kinds {
		if k.Describe().Alias == name && name != "" {
			return k, nil
		}
		known = append(known, n)
	}
	slices.Sort(known)
	return nil, task.Errorf(task.InvalidArgument, "unknown kind %q", name).
		WithHint("this daemon has: %s", strings.Join(known, ", "))
}

// unsupported refuses what this engine has no machinery for yet: silence would be a lie.
func unsupported(s task.Spec) error {
	field := ""
	switch {
	case s.Queue != "" && s.Queue != task.DefaultQueue:
		field = "queue"
	case s.RunAt != nil:
		field = "run_at"
	case len(s.DependsOn) > 0:
		field = "depends_on"
	case s.ParentID != "":
		field = "parent_id"
	case s.ExpiresAt != nil:
		field = "expires_at"
	case s.Restart == task.RestartAlways || s.Restart == task.RestartOnFailure:
		field = "restart=" + string(s.Restart)
	default:
		return nil
	}
	return task.Errorf(task.Unimplemented, "%s: this daemon cannot do that yet", field).
		WithHint("leave it out; GET /v1/info lists what this daemon can do under capabilities")
}

func newRecord(spec task.Spec, plan job.Plan, owner task.Owner, host string) store.Record {
	t := task.Task{
		Kind: spec.Kind, Title: spec.Title, Status: task.StatusPending, Phase: task.PhaseQueued,
		Params: plan.Params, Labels: spec.Labels, Queue: spec.Queue, Priority: spec.Priority,
		Timeout: spec.Timeout, Retry: spec.Retry, Restart: spec.Restart, Owner: owner, Host: host,
	}
	if t.Title == "" {
		t.Title = plan.Title
	}
	if t.Queue == "" {
		t.Queue = task.DefaultQueue
	}
	if t.Retry == nil {
		t.Retry = plan.Retry
	}
	if len(t.Params) == 0 {
		t.Params = json.RawMessage("{}")
	}
	if t.Labels == nil {
		t.Labels = map[string]string{}
	}
	return store.Record{Task: t}
}

func specOf(t task.Task) task.Spec {
	return task.Spec{
		Kind: t.Kind, Title: t.Title, Params: t.Params, Labels: t.Labels, Queue: t.Queue, Priority: t.Priority,
		Timeout: t.Timeout, Retry: t.Retry, Restart: t.Restart,
	}
}

// once makes a call have its effect once per idempotency key. The zero value promises nothing.
type once struct {
	name string // scoped by user and method; empty: no key was given
	hash [sha256.Size]byte
}

func newOnce(owner task.Owner, method string, key task.Key, request any) (once, error) {
	switch {
	case key == "":
		return once{}, nil
	case len(key) > task.MaxKey:
		return once{}, task.Errorf(task.InvalidArgument, "idempotency key: %d bytes, the limit is %d", len(key), task.MaxKey)
	}
	b, err := json.Marshal(request)
	if err != nil {
		return once{}, task.Errorf(task.InvalidArgument, "request: %w", err)
	}
	return once{name: fmt.Sprintf("%d/%s/%s", owner.UID, method, key), hash: sha256.Sum256(b)}, nil
}

// find reports whether the key was used before, and if so loads the task it names into rec.
func (o once) find(tx *store.Tx, rec *store.Record) (bool, error) {
	if o.name == "" {
		return false, nil
	}
	entry, ok, err := tx.Key(o.name)
	if err != nil || !ok {
		return false, err
	}
	if entry.Hash != o.hash {
		return true, task.Errorf(task.Conflict, "this idempotency key was used for another request").
			WithHint("use a new key for a new request")
	}
	found, err := tx.Task(entry.TaskID)
	if err != nil {
		return true, task.Errorf(task.FailedPrecondition, "the task of this idempotency key was removed").
			WithHint("use a new key to do it again")
	}
	*rec = *found
	return true, nil
}

// keep stores the key with rec, which the caller then writes: the record remembers its keys.
func (o once) keep(tx *store.Tx, rec *store.Record) error {
	if o.name == "" {
		return nil
	}
	return tx.PutKey(o.name, store.KeyEntry{TaskID: rec.Task.ID, Hash: o.hash}, rec)
}

// repeated answers a repetition without a write transaction.
func (e *Engine) repeated(o once) (t task.Task, done bool, err error) {
	if o.name == "" {
		return t, false, nil
	}
	err = e.store.View(func(tx *store.Tx) error {
		var rec store.Record
		var err error
		done, err = o.find(tx, &rec)
		t = rec.Task
		return err
	})
	return e.live.overlay(t), done, err
}
