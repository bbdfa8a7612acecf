package engine

import (
	"context"
	"encoding/json"
	"sync"
	"time"

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
	kind, err := e.kinds.find(spec.Kind)
	if err != nil {
		return task.Task{}, err
	}
	spec.Kind = kind.Describe().Name
	if err := unsupported(spec, kind); err != nil {
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
	rec := newRecord(spec, plan, owner, e.cfg.Host)
	if err := e.judge(ctx, &rec, plan.Effects); err != nil {
		return e.orRepeated(once, err)
	}
	t, err := e.create(ctx, &rec, plan.Secrets, once, nil)
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

// spares are the records that create keeps of what it was given.
var spares = sync.Pool{New: func() any { return new(store.Record) }}

// create commits a new task, and leaves rec as it was committed. Where a slot is free and nothing is to go before it, the same
// commit begins its first attempt: the task answered is running then. extra, if set, runs in the same transaction after the
// record was made, and wants it as it was made.
func (e *Engine) create(ctx context.Context, rec *store.Record, secrets []byte, once once, extra func(*store.Tx, *store.Record) error) (task.Task, error) {
	given := spares.Get().(*store.Record)
	*given = *rec
	defer func() {
		*given = store.Record{}
		spares.Put(given)
	}()
	var again bool
	c := &claim{e: e, fresh: true}
	defer c.abandon()
	e.cfg.Hook("submit.before")
	err := e.update(ctx, store.Admission, func(tx *store.Tx) (err error) {
		c.void()
		*rec = *given // the closure may run again
		if again, err = once.find(tx, rec); again || err != nil {
			return err
		}
		if err := once.keep(tx, rec); err != nil {
			return err
		}
		if err := e.admit(tx, c, rec, extra == nil); err != nil {
			return err
		}
		if len(secrets) > 0 {
			if err := tx.PutSecrets(rec.Task.ID, secrets); err != nil {
				return err
			}
		}
		if extra != nil {
			return extra(tx, rec)
		}
		return nil
	})
	c.settle(err)
	if err != nil {
		return task.Task{}, err
	}
	if again {
		return e.live.overlay(rec.Task), nil
	}
	e.cfg.Hook("submit.committed")
	e.submitted.Add(1)
	switch {
	case c.attempts != nil:
		e.cfg.Hook("submit.begun")
		c.start()
	case rec.Task.Phase != task.PhaseQueued || e.free() > 0: // otherwise who frees a slot wakes the scheduler
		e.poke()
	}
	return rec.Task, nil
}

// admit stores a new record, and begins its first attempt where it may.
func (e *Engine) admit(tx *store.Tx, c *claim, rec *store.Record, atOnce bool) error {
	kind := e.kinds.named(rec.Task.Kind)
	if atOnce && kind != nil {
		first, err := isNext(tx, rec.Task)
		if err != nil {
			return err
		}
		atOnce = first && c.hold()
	}
	if !atOnce || kind == nil {
		return tx.Create(rec)
	}
	err := tx.CreateAs(rec, task.EventStarted, func(rec *store.Record) error { return c.begin(kind, rec) })
	if err == nil {
		c.enter(*rec)
	}
	return err
}

// isNext reports whether a free slot would be that of t, which is new: nobody waits for one, be he of a lower priority, nor has
// anybody's time come of whom the scheduler does not know yet.
func isNext(tx *store.Tx, t task.Task) (bool, error) {
	if t.State() != (task.State{Status: task.StatusPending, Phase: task.PhaseQueued}) {
		return false, nil
	}
	if waiting, err := tx.ReadyCount(); err != nil || waiting > 0 {
		return false, err
	}
	due, some, err := tx.NextDue()
	return !some || due.After(time.Now()), err
}

// unsupported refuses what this engine has no machinery for yet: silence would be a lie.
func unsupported(s task.Spec, kind job.Kind) error {
	if _, ok := kind.(job.Cleaner); ok && s.Restart == task.RestartAlways {
		return task.Errorf(task.InvalidArgument, "restart=%s: a job of kind %s has nothing left to do once it has completed", s.Restart, s.Kind).
			WithHint("restart=%s goes on after errors", task.RestartOnFailure)
	}
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
	if t.Timeout == 0 {
		t.Timeout = plan.Timeout
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
