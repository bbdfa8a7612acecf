package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"durable/daemon/store"
	"durable/ipc/task"
)

// recoverBatch bounds how many tasks one transaction recovers.
const recoverBatch = 256

// Recover settles what the last daemon left behind: it is the normal start, not an exception. Call it
// once, before Run and before anybody is served.
//
// A task that is found running had an attempt in a process that is gone (the lock on the state
// folder says so): it was interrupted, or, where a cancel had been acknowledged, it is cancelled. The work of a
// Survivor may go on, or have ended, or never have begun: Recover makes its attempt known, as one that is adopted,
// and Run calls the kind's Run for it, which finds out.
func (e *Engine) Recover(ctx context.Context) error {
	var ids []task.ID // no more than have run at once
	err := e.store.View(func(tx *store.Tx) (err error) {
		ids, err = tx.ByStatus(task.StatusRunning, math.MaxInt)
		return err
	})
	var settled, adopted int
	for chunk := range slices.Chunk(ids, recoverBatch) {
		var left []store.Record
		if left, err = e.recoverSome(ctx, chunk); err != nil {
			break
		}
		for _, rec := range left {
			e.adopt(rec)
		}
		settled, adopted = settled+len(chunk)-len(left), adopted+len(left)
	}
	if err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	if len(ids) > 0 {
		e.log.Info("recovered tasks that had an attempt under way", "interrupted", settled, "adopted", adopted)
	}
	e.cfg.Hook("recover.done")
	return e.announce(ctx, fmt.Sprintf("durabled %s started", e.cfg.Identity.Version))
}

// recoverSome settles the tasks of a chunk, and returns those whose attempt may go on.
func (e *Engine) recoverSome(ctx context.Context, chunk []task.ID) (left []store.Record, err error) {
	err = e.update(ctx, store.Essential, func(tx *store.Tx) error {
		left = left[:0]
		for _, id := range chunk {
			rec, err := tx.Task(id)
			if errors.Is(err, task.Internal) {
				continue // cannot be read: the store sets it aside, and it must stop nothing else
			}
			if err != nil {
				return err
			}
			if rec.Survives {
				err = e.claimLeft(tx, rec)
				left = append(left, *rec)
			} else {
				err = e.settle(tx, rec, interrupted(rec))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return left, err
}

// interrupted is the end of an attempt that nobody saw.
func interrupted(rec *store.Record) ending {
	end := ending{outcome: task.OutcomeInterrupted}
	if rec.Task.CancelRequestedAt == nil {
		end.err = task.Errorf(task.Unavailable, "the daemon or the machine went down during attempt %d", rec.Task.Attempt)
	}
	return end
}

// cleanUp finishes the cleaning that the last daemon did not get to.
func (e *Engine) cleanUp() {
	var ids []task.ID
	err := e.store.View(func(tx *store.Tx) error {
		var err error
		ids, err = tx.CleanPending(math.MaxInt) // those that fail again must not keep the others from their turn
		return err
	})
	for _, id := range ids {
		if e.leaving() {
			return
		}
		if rec, err := e.record(id.Ref()); err == nil {
			e.clean(rec)
		}
	}
	if err != nil {
		e.log.Warn("looking for tasks to clean up", "error", err)
	}
}
