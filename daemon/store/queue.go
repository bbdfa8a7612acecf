package store

import (
	"bytes"
	"slices"
	"time"

	"github.com/google/uuid"

	"durable/ipc/task"
)

// Ready returns up to max tasks that wait for a slot: the highest priority first, then the oldest.
func (tx *Tx) Ready(max int) ([]task.ID, error) { return tx.front(max, group{region: rReady}), nil }

// CleanPending returns up to max tasks that have ended and are not cleaned up yet, oldest first.
func (tx *Tx) CleanPending(max int) ([]task.ID, error) {
	return tx.front(max, group{region: rUnclean}), nil
}

// Asking returns up to max tasks that wait for a person's yes, oldest first.
func (tx *Tx) Asking(max int) ([]task.ID, error) { return tx.front(max, group{region: rAsking}), nil }

// ByStatus returns up to max tasks of a status, oldest first.
func (tx *Tx) ByStatus(st task.Status, max int) ([]task.ID, error) {
	n, ok := statusBytes[st]
	if !ok {
		return nil, task.Errorf(task.InvalidArgument, "status %q: there is none", string(st))
	}
	var ids []task.ID
	for _, g := range tx.ofStatus(n) {
		ids = append(ids, tx.front(max, g)...)
	}
	slices.Sort(ids)
	return ids[:min(max, len(ids))], nil
}

// Due returns up to max tasks whose time has come: of their next attempt, of their first, or of the end of the wait
// for a yes. The one that has waited longest comes first.
func (tx *Tx) Due(now time.Time, max int) ([]task.ID, error) {
	var ids []task.ID
	s := tx.scan(rDue)
	for k, _ := s.First(); k != nil && len(ids) < max && !readTime(k).After(now); k, _ = s.Next() {
		ids = tx.appendKnown(ids, k)
	}
	return ids, nil
}

// NextDue returns the time at which the next task is due; false if none waits for its time.
func (tx *Tx) NextDue() (time.Time, bool, error) {
	k, _ := tx.scan(rDue).First()
	if k == nil {
		return time.Time{}, false, nil
	}
	return readTime(k), true, nil
}

// EndedBefore returns up to max tasks that ended before t, the one that ended first in front.
func (tx *Tx) EndedBefore(t time.Time, max int) ([]task.ID, error) {
	var keys [][]byte // time and ID
	s := tx.scan(rByEnd)
	for _, st := range task.Statuses {
		if !st.Terminal() {
			continue
		}
		prefix := []byte{statusBytes[st]}
		n := 0
		for k, _ := s.Seek(prefix); n < max && bytes.HasPrefix(k, prefix) && readTime(k[1:]).Before(t); k, _ = s.Next() {
			keys = append(keys, bytes.Clone(k[1:]))
			n++
		}
	}
	slices.SortFunc(keys, bytes.Compare)
	var ids []task.ID
	for _, k := range keys[:min(max, len(keys))] {
		ids = tx.appendKnown(ids, k)
	}
	return ids, nil
}

// front returns the first tasks of a group.
func (tx *Tx) front(max int, g group) []task.ID {
	var ids []task.ID
	s := tx.scan(g.region)
	for k, _ := s.Seek(g.prefix); len(ids) < max && k != nil && bytes.HasPrefix(k, g.prefix); k, _ = s.Next() {
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
