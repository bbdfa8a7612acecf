package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"durable/daemon/job"
	"durable/daemon/store"
	"durable/ipc/task"
)

// survivor reports whether this daemon can watch over the attempts of a kind that were begun by another.
func (e *Engine) survivor(name string) bool {
	_, ok := e.kinds.named(name).(job.Survivor)
	return ok
}

// adopt makes an attempt known that an earlier daemon began; Run goes on with it. What this daemon has no kind
// for is left alone, and neither settled nor lost: its program may run, so that "lost" could be a lie and a
// retry a second one beside it. It is adopted as soon as a reload brings the kind back.
func (e *Engine) adopt(rec store.Record) {
	if !e.survivor(rec.Task.Kind) {
		e.mu.Lock()
		e.unwatched[rec.Task.ID] = rec.Task
		e.mu.Unlock()
		e.log.Warn("a task's program may run on, and nobody watches it: its kind is unknown", "task", rec.Task.Number, "kind", rec.Task.Kind)
		return
	}
	a := newAttempt(e, rec)
	a.adopted = true
	e.attach(a)
	e.adopted = append(e.adopted, a)
}

// startAdopted runs what adopt has made known, all at once: what became of the work is found out beside each other.
func (e *Engine) startAdopted() {
	for _, a := range e.adopted {
		e.group.Go(a.run)
	}
	e.adopted = nil
}

// claimLeft notes in a record whether anybody watches its attempt.
func (e *Engine) claimLeft(tx *store.Tx, rec *store.Record) error {
	reason := rec.Task.Reason
	switch known := e.survivor(rec.Task.Kind); {
	case !known && rec.Task.CancelRequestedAt == nil: // a cancel's own reason stays
		reason = task.ReasonKindUnknown
	case known && reason == task.ReasonKindUnknown:
		reason = ""
	}
	if reason == rec.Task.Reason {
		return nil
	}
	rec.Task.Reason, rec.Task.UpdatedAt = reason, now()
	return tx.Put(rec, task.EventStatus)
}

// adoptLate adopts what had no kind until now. The scheduler calls it each time that it wakes up.
func (e *Engine) adoptLate(ctx context.Context) {
	ids := e.unwatchedKnown()
	if len(ids) == 0 {
		return
	}
	e.claiming.Lock()
	defer e.claiming.Unlock()
	var found []store.Record
	err := e.update(ctx, store.Essential, func(tx *store.Tx) error {
		found = found[:0]
		for _, id := range ids {
			rec, err := tx.Task(id)
			if errors.Is(err, task.NotFound) || errors.Is(err, task.Internal) {
				continue
			}
			if err != nil {
				return err
			}
			if err := e.claimLeft(tx, rec); err != nil {
				return err
			}
			found = append(found, *rec)
		}
		return nil
	})
	if err != nil {
		e.log.Warn("cannot adopt tasks whose kind is back", "error", err) // at the next wake
		return
	}
	e.mu.Lock()
	for _, id := range ids {
		delete(e.unwatched, id)
	}
	e.mu.Unlock()
	for _, rec := range found {
		e.adopt(rec)
	}
	e.startAdopted()
}

// unwatchedKnown returns the tasks that nobody watches though this daemon could.
func (e *Engine) unwatchedKnown() (ids []task.ID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, t := range e.unwatched {
		if e.survivor(t.Kind) {
			ids = append(ids, id)
		}
	}
	return ids
}

// unwatchedWarnings tells people of the tasks that nobody watches.
func (e *Engine) unwatchedWarnings() (warnings []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var tasks []task.Task
	for _, t := range e.unwatched {
		tasks = append(tasks, t)
	}
	slices.SortFunc(tasks, func(a, b task.Task) int { return cmp.Compare(a.Number, b.Number) })
	for _, t := range tasks {
		warnings = append(warnings, fmt.Sprintf("the program of task %d may run on, but nobody watches it: this daemon has no kind %s (any more); "+
			"put it back into the configuration, then: durablectl reload", t.Number, t.Kind))
	}
	return warnings
}
