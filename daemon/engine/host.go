package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"durable/daemon/job"
	"durable/daemon/store"
	"durable/ipc/task"
)

// Progress implements job.Host.
func (a *attempt) Progress(p task.Progress) {
	t := a.rec.Task
	a.mu.Lock()
	t.Phase = a.phase
	a.mu.Unlock()
	a.e.hub.progress(a.e.live.report(t, p))
}

// Checkpoint implements job.Host.
func (a *attempt) Checkpoint(data []byte) error {
	a.e.cfg.Hook("checkpoint.before")
	err := a.e.update(context.Background(), store.Essential, func(tx *store.Tx) error {
		rec, err := a.current(tx)
		if err != nil {
			return err
		}
		if err := tx.PutCheckpoint(rec.Task.ID, data); err != nil {
			return err
		}
		rec.Interruptions = 0
		rec.Task.Progress = a.e.live.current(rec.Task)
		rec.Task.UpdatedAt = now()
		return tx.Put(rec, task.EventCheckpoint)
	})
	if err != nil {
		return a.fenced("checkpoint", err)
	}
	a.e.cfg.Hook("checkpoint.committed")
	return nil
}

// current returns the task's record if this attempt is still the one that owns it.
func (a *attempt) current(tx *store.Tx) (*store.Record, error) {
	rec, err := tx.Task(a.rec.Task.ID)
	if err != nil {
		return nil, err
	}
	if rec.Task.Status != task.StatusRunning || rec.Task.Attempt != a.rec.Task.Attempt || rec.Nonce != a.rec.Nonce {
		return nil, errNotRunning
	}
	return rec, nil
}

// Load implements job.Host.
func (a *attempt) Load() (data []byte, err error) {
	err = a.e.store.View(func(tx *store.Tx) error {
		data, err = tx.Checkpoint(a.rec.Task.ID)
		return err
	})
	return data, err
}

// Secrets implements job.Host.
func (a *attempt) Secrets() (data []byte, err error) {
	err = a.e.store.View(func(tx *store.Tx) error {
		data, err = tx.Secrets(a.rec.Task.ID)
		return err
	})
	return data, err
}

// Log implements job.Host.
func (a *attempt) Log() io.Writer { return a.out }

// ArtifactsDir implements job.Host.
func (a *attempt) ArtifactsDir() (string, error) { return a.e.folder(a.rec.Task.ID, artifactsFolder) }

// WorkDir implements job.Host.
func (a *attempt) WorkDir() (string, error) { return a.e.folder(a.rec.Task.ID, workFolder) }

// AttemptDir implements job.Host.
func (a *attempt) AttemptDir() (string, error) {
	return a.e.folder(a.rec.Task.ID, strconv.Itoa(a.rec.Task.Attempt))
}

// Adopted implements job.Host.
func (a *attempt) Adopted() bool { return a.adopted }

// Leaving implements job.Host.
func (a *attempt) Leaving() <-chan struct{} { return a.e.quit }

// Mark implements job.Host. What the table of states does not have is no change: an adopted program runs already,
// and one that is being stopped stays so.
func (a *attempt) Mark(trigger task.Trigger) error {
	a.marking.Lock()
	defer a.marking.Unlock()
	var phase task.Phase
	err := a.e.update(context.Background(), store.Essential, func(tx *store.Tx) error {
		rec, err := a.current(tx)
		if err != nil {
			return err
		}
		phase = rec.Task.Phase
		if _, moves := task.Next(rec.Task.State(), trigger); !moves {
			return nil // a transaction that writes nothing costs no commit
		}
		if err := step(rec, trigger); err != nil {
			return err
		}
		phase = rec.Task.Phase
		return tx.Put(rec, task.EventStatus)
	})
	a.clock.release()
	if err != nil {
		return a.fenced("mark", err)
	}
	a.enter(phase)
	return nil
}

// fenced tells the job apart what it must do next: leave everything alone, or see to err.
func (a *attempt) fenced(what string, err error) error {
	if errors.Is(err, errNotRunning) {
		a.end(job.ErrFenced)
		return job.ErrFenced
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Ask implements job.Host.
func (a *attempt) Ask(task.Question) (json.RawMessage, error) {
	return nil, task.Errorf(task.Unimplemented, "ask: this daemon cannot put questions yet")
}
