package engine

import (
	"context"
	"errors"
	"fmt"
	"math"

	"durable/daemon/store"
	"durable/ipc/task"
)

// recoverBatch bounds how many tasks one transaction recovers.
const recoverBatch = 256

// Recover settles what the last daemon left behind: it is the normal start, not an exception. Call it
// once, before Run and before anybody is served.
//
// A task that is found running had an attempt in a process that is gone (the lock on the state
// folder says so): it was interrupted, or, where a cancel had been acknowledged, it is cancelled.
func (e *Engine) Recover(ctx context.Context) error {
	recovered := 0
	for {
		n, err := e.recoverSome(ctx)
		if err != nil {
			return fmt.Errorf("recover: %w", err)
		}
		recovered += n
		if n < recoverBatch {
			break
		}
	}
	if recovered > 0 {
		e.log.Info("recovered tasks whose attempt was interrupted", "tasks", recovered)
	}
	e.cfg.Hook("recover.done")
	return e.announce(ctx, fmt.Sprintf("durabled %s started", e.cfg.Identity.Version))
}

func (e *Engine) recoverSome(ctx context.Context) (n int, err error) {
	err = e.update(ctx, store.Essential, func(tx *store.Tx) error {
		ids, err := tx.ByStatus(task.StatusRunning, recoverBatch)
		if err != nil {
			return err
		}
		n = len(ids)
		for _, id := range ids {
			rec, err := tx.Task(id)
			if errors.Is(err, task.Internal) {
				continue // cannot be read: the store sets it aside, and it must stop nothing else
			}
			if err != nil {
				return err
			}
			if err := e.settle(tx, rec, interrupted(rec)); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
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
