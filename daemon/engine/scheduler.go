package engine

import (
	"context"
	"fmt"
	"time"

	"durable/daemon/job"
	"durable/daemon/store"
	"durable/ipc/task"
)

// maxSleep bounds how long the scheduler trusts a timer while something is due later: timers stand
// still while the machine is suspended, the wall clock does not.
const maxSleep = time.Minute

// claimBatch bounds how many tasks one transaction claims or readies.
const claimBatch = 64

// schedule claims and starts tasks until ctx is done. It wakes up for a submit, a freed slot and the
// earliest due time, and otherwise sleeps.
func (e *Engine) schedule(ctx context.Context) error {
	e.poke()
	timer := time.NewTimer(maxSleep)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-e.fatal:
			return err
		case <-e.store.Failed(): // in a view, perhaps: then no update will tell
			return fmt.Errorf("store: %w", e.store.Err())
		case <-e.wake:
		case <-timer.C:
		}
		e.adoptLate(ctx)
		next, err := e.pickUp(ctx)
		if err != nil {
			if e.storeFailed() {
				return fmt.Errorf("store: %w", e.store.Err())
			}
			if ctx.Err() != nil {
				return nil
			}
			// A full disk, most likely: what waits goes on waiting.
			e.log.Warn("cannot start tasks", "error", err)
			next = time.Now().Add(time.Second)
		}
		timer.Stop()
		if !next.IsZero() {
			timer.Reset(min(maxSleep, max(0, time.Until(next))))
		}
	}
}

// pickUp starts what is ready, as far as there are slots, and returns when something is due next;
// zero: nothing is.
func (e *Engine) pickUp(ctx context.Context) (next time.Time, err error) {
	for {
		free := e.free()
		more, due, err := e.look(free)
		if err != nil || !more {
			return due, err
		}
		moved, err := e.launch(ctx)
		if err != nil {
			return time.Time{}, err
		}
		switch {
		case moved > 0:
		case e.free() == 0 && (due.IsZero() || due.After(time.Now())): // submits have taken the slots; one that becomes free wakes us
			return due, nil
		default: // nothing to be had after all: a damaged record, which is being set aside, or a clock set back
			return time.Now().Add(time.Second), nil
		}
	}
}

// launch claims and starts.
func (e *Engine) launch(ctx context.Context) (moved int, err error) {
	c := &claim{e: e}
	defer c.abandon()
	moved, err = e.claim(ctx, c)
	if err != nil {
		return moved, err
	}
	e.cfg.Hook("start.committed")
	c.start()
	return moved, nil
}

// free returns how many attempts may start now.
func (e *Engine) free() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.freeLocked()
}

func (e *Engine) freeLocked() int {
	if !e.open || e.draining || e.stopping {
		return 0
	}
	return max(0, e.cfg.Slots-len(e.running))
}

// look reads whether a claim would find anything, and when something is due next.
func (e *Engine) look(free int) (more bool, due time.Time, err error) {
	err = e.store.View(func(tx *store.Tx) error {
		ready, err := tx.Ready(1)
		if err != nil {
			return err
		}
		at, waiting, err := tx.NextDue()
		if err != nil {
			return err
		}
		more = free > 0 && len(ready) > 0
		if waiting {
			due = at
			more = more || !at.After(time.Now())
		}
		return nil
	})
	return more, due, err
}

// claim commits the beginning of as many attempts as there are slots, and readies what has become due; moved counts
// both. The attempts are durable before any of them does anything.
func (e *Engine) claim(ctx context.Context, c *claim) (moved int, err error) {
	e.cfg.Hook("start.before")
	var expired []store.Record
	err = e.update(ctx, store.Essential, func(tx *store.Tx) error {
		c.void()
		if moved, expired, err = e.ready(tx); err != nil {
			return err
		}
		ids, err := tx.Ready(e.readyMost()) // asked here: a submit or Drain may have come in between
		if err != nil {
			return err
		}
		for _, id := range ids {
			if e.attemptOf(id) != nil {
				continue // its last attempt ended in this very group of changes, and is just leaving: that wakes us again
			}
			if !c.hold() {
				break
			}
			rec, err := tx.Task(id)
			if err != nil {
				return err
			}
			if err := e.begin(tx, c, rec); err != nil {
				return err
			}
			moved++
		}
		return nil
	})
	c.settle(err)
	if err == nil {
		e.concluded(expired)
	}
	return moved, err
}

// ready queues what has waited long enough, ends what has waited for a yes too long, and returns how many tasks
// that are in all.
func (e *Engine) ready(tx *store.Tx) (n int, expired []store.Record, err error) {
	ids, err := tx.Due(time.Now(), claimBatch)
	if err != nil {
		return 0, nil, err
	}
	for _, id := range ids {
		rec, err := tx.Task(id)
		if err != nil {
			return 0, nil, err
		}
		if rec.Task.Phase == task.PhaseAwaitingApproval {
			if err := e.expire(tx, rec); err != nil {
				return 0, nil, err
			}
			expired = append(expired, *rec)
			continue
		}
		if err := step(rec, task.TriggerReady); err != nil {
			return 0, nil, err
		}
		rec.Task.NextAttemptAt = nil
		if err := tx.Put(rec, task.EventStatus); err != nil {
			return 0, nil, err
		}
	}
	return len(ids), expired, nil
}

// begin starts the next attempt of a queued task in the slot that c holds. A task whose kind this daemon does not have is paused:
// an upgrade or a changed configuration may bring the kind back.
func (e *Engine) begin(tx *store.Tx, c *claim, rec *store.Record) error {
	kind := e.kinds.named(rec.Task.Kind)
	if kind == nil {
		if err := step(rec, task.TriggerPause); err != nil {
			return err
		}
		rec.Task.Reason = task.ReasonKindUnknown
		return tx.Put(rec, task.EventStatus)
	}
	if err := c.begin(kind, rec); err != nil {
		return err
	}
	if err := tx.Put(rec, task.EventStarted); err != nil {
		return err
	}
	c.enter(*rec)
	return nil
}

// attach makes an attempt known to those who may end it.
func (e *Engine) attach(a *attempt) {
	id := a.rec.Task.ID
	e.mu.Lock()
	e.running[id] = a
	stopping := e.stopping
	e.mu.Unlock()
	if stopping {
		a.end(e.stopCause())
	}
	// A cancel that was committed before the attempt was known found nobody to tell.
	if rec, err := e.record(id.Ref()); err == nil && rec.Task.Phase == task.PhaseStopping {
		a.end(job.ErrCancelled)
	}
}

// readyMost is how many ready tasks a claim has to see to fill the free slots: those whose last attempt has not quite left are passed over.
func (e *Engine) readyMost() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	free := e.freeLocked()
	if free == 0 {
		return 0
	}
	return min(free+len(e.running), claimBatch)
}

// vacate gives up the attempt's slot. The task may have another attempt by then, which stays.
func (e *Engine) vacate(a *attempt) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if id := a.rec.Task.ID; e.running[id] == a {
		delete(e.running, id)
	}
}

// attemptOf returns the attempt of a task that runs, or has not quite left; nil: there is none.
func (e *Engine) attemptOf(id task.ID) *attempt {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.running[id]
}

// endAttempt tells a running attempt to end; the first cause counts.
func (e *Engine) endAttempt(id task.ID, cause error) {
	if a := e.attemptOf(id); a != nil {
		a.end(cause)
	}
}
