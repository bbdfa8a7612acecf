package store

import (
	"time"

	"github.com/google/uuid"

	"durable/ipc/task"
)

// Ready returns up to max tasks that wait for a slot: the highest priority first, then the oldest.
func (tx *Tx) Ready(max int) ([]task.ID, error) { return tx.front(bReady, nil, max), nil }

// CleanPending returns up to max tasks that have ended and are not cleaned up yet, oldest first.
func (tx *Tx) CleanPending(max int) ([]task.ID, error) { return tx.front(bClean, nil, max), nil }

// ByStatus returns up to max tasks of a status, oldest first.
func (tx *Tx) ByStatus(st task.Status, max int) ([]task.ID, error) {
	n, ok := statusBytes[st]
	if !ok {
		return nil, task.Errorf(task.InvalidArgument, "status %q: there is none", string(st))
	}
	return tx.front(bStatus, []byte{n}, max), nil
}

// Due returns up to max tasks whose time has come: of their next attempt, or of their first. The one that
// has waited longest comes first.
func (tx *Tx) Due(now time.Time, max int) ([]task.ID, error) {
	var ids []task.ID
	c := tx.bucket(bDue).Cursor()
	for k, _ := c.First(); k != nil && len(ids) < max && !readTime(k).After(now); k, _ = c.Next() {
		ids = tx.appendKnown(ids, k)
	}
	return ids, nil
}

// NextDue returns the time at which the next task is due; false if none waits for its time.
func (tx *Tx) NextDue() (time.Time, bool, error) {
	k, _ := tx.bucket(bDue).Cursor().First()
	if k == nil {
		return time.Time{}, false, nil
	}
	return readTime(k), true, nil
}

// front returns the tasks at the beginning of an index, those keys that start with prefix.
func (tx *Tx) front(b bucket, prefix []byte, max int) []task.ID {
	var ids []task.ID
	c := tx.bucket(b).Cursor()
	for k, _ := c.Seek(prefix); k != nil && len(ids) < max && string(k[:len(prefix)]) == string(prefix); k, _ = c.Next() {
		ids = tx.appendKnown(ids, k)
	}
	return ids
}

// appendKnown adds the task that an index key ends with, unless its record is about to be set aside.
func (tx *Tx) appendKnown(ids []task.ID, key []byte) []task.ID {
	id := uuid.UUID(key[len(key)-idSize:])
	if tx.s.damage.has(id) {
		return ids
	}
	return append(ids, formatID(id[:]))
}
