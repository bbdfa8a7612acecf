package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"durable/ipc/task"
)

// restoreChunk is how many tasks one transaction of a restore changes.
const restoreChunk = 1000

// Restore makes a store in dir from a backup. It works on a folder that no daemon uses: whoever calls it holds
// daemon.lock. It refuses where there is a store already. The new store's journal begins a new epoch;
// tasks that had not ended come back paused with [task.ReasonRestored], those whose cancel was
// acknowledged as cancelled. What is in dir besides, such as attempts' folders that the backup knows
// nothing of, is the engine's to set aside.
func Restore(backup, dir string) error {
	s := newStore(Options{Dir: dir}.withDefaults())
	if err := prepareDir(dir); err != nil {
		return err
	}
	if err := s.refuseExisting(); err != nil {
		return err
	}
	f, err := inspect(backup, s.o.LockTimeout, true)
	if err != nil {
		return err
	}
	tmp := s.path() + tmpSuffix
	if err := s.rebuild(backup, tmp, f); err != nil {
		return errors.Join(errBackup(context.Background(), dir, err), removeIfThere(tmp))
	}
	if err := publish(tmp, s.path()); err != nil {
		return errAccess(s.path(), err)
	}
	return writeMarker(dir, f.id)
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (s *Store) refuseExisting() error {
	for _, name := range []string{storeFile, markerFile} {
		path := filepath.Join(s.o.Dir, name)
		_, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return errAccess(path, err)
		}
		return task.Errorf(task.FailedPrecondition, "restore: %s is there already", path).
			WithHint("stop the daemon and move %s and %s away, or restore into another folder", storeFile, markerFile)
	}
	return nil
}

// rebuild makes the new file under its temporary name.
func (s *Store) rebuild(backup, tmp string, f found) error {
	epoch := newEpoch()
	e := edit{
		skip: rEvents,
		meta: func(key, value []byte) []byte {
			switch string(key) {
			case string(keyEpoch):
				return sealText(keyEpoch, epoch)
			case string(keyBackup):
				return nil
			}
			return value
		},
	}
	newest, err := s.upgrade(backup, s.path(), f.schema, migrations)
	if err != nil {
		return err
	}
	err = rewrite(context.Background(), newest, tmp, e)
	if newest != backup {
		err = errors.Join(err, os.Remove(newest))
	}
	if err != nil {
		return err
	}
	if err := s.openFile(tmp); err != nil {
		return err
	}
	s.st.FirstSeq = s.st.LastSeq + 1 // the journal was left out
	err = s.pauseAll(backup)
	if err == nil {
		err = s.closeClean()
	}
	return errors.Join(err, s.db.Close())
}

// pauseAll changes every task that had not ended, and says in the journal where the store comes from.
func (s *Store) pauseAll(backup string) error {
	var unfinished []task.ID
	err := s.inOneTx(func(tx *Tx) error {
		for _, st := range task.Unfinished {
			ids, err := tx.ByStatus(st, math.MaxInt)
			if err != nil {
				return err
			}
			unfinished = append(unfinished, ids...)
		}
		return tx.Append(task.Event{Type: task.EventDaemon, Message: fmt.Sprintf("restored from %s: %d tasks that had not ended are paused", backup, len(unfinished))})
	})
	for err == nil && len(unfinished) > 0 {
		chunk := unfinished[:min(restoreChunk, len(unfinished))]
		unfinished = unfinished[len(chunk):]
		err = s.inOneTx(func(tx *Tx) error {
			for _, id := range chunk {
				if err := tx.pause(id); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return err
}

// inOneTx is an update of a store that has no committer yet.
func (s *Store) inOneTx(fn func(*Tx) error) error {
	tx, err := s.begin()
	if err != nil {
		return err
	}
	if err := contain(func() error { return fn(tx) }); err != nil {
		s.abandon(tx)
		return err
	}
	return s.finish(tx)
}

// pause puts one task where it waits for a person. A record that cannot be read stays as it is; the daemon
// will name it.
func (tx *Tx) pause(id task.ID) error {
	rec, err := tx.Task(id)
	if errors.Is(err, task.Internal) {
		return nil
	}
	if err != nil {
		return err
	}
	t := &rec.Task
	wasRunning := t.Status == task.StatusRunning
	if wasRunning {
		t.Outcome = task.OutcomeInterrupted
		end := task.Attempt{Number: t.Attempt, EndedAt: tx.now, Outcome: t.Outcome}
		if t.StartedAt != nil {
			end.StartedAt = *t.StartedAt
		}
		t.Attempts = append(t.Attempts, end)
	}
	switch {
	case t.CancelRequestedAt != nil:
		t.Status, t.Phase, t.CompletedAt = task.StatusCancelled, task.PhaseNone, &tx.now
		rec.CleanPending = t.Attempt > 0
	case t.Phase == task.PhaseAwaitingApproval:
		return nil // it waits for a person already, and must not get past him
	default:
		t.Status, t.Phase, t.Reason = task.StatusPending, task.PhasePaused, task.ReasonRestored
	}
	t.Question, t.NextAttemptAt, t.UpdatedAt = nil, nil, tx.now
	rec.Nonce, rec.Survives = "", false
	return tx.Put(rec, task.EventStatus)
}
