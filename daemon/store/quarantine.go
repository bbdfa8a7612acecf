package store

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/google/uuid"

	"durable/ipc/task"
)

// damage is an error that no transaction can go on after: the file itself is broken.
type damage struct{ error }

// damageList holds the records that were found unreadable and are not set aside yet: a view cannot write,
// and an update that stumbles over one may be rolled back. The committer moves them in a transaction of
// its own.
type damageList struct {
	mu      sync.Mutex
	reasons map[uuid.UUID]string
	wake    chan struct{} // has room for one: there is something to move
}

// note adds a record and wakes the committer.
func (d *damageList) note(key uuid.UUID, reason string) {
	d.mu.Lock()
	if d.reasons == nil {
		d.reasons = map[uuid.UUID]string{}
	}
	d.reasons[key] = reason
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *damageList) has(key uuid.UUID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.reasons[key]
	return ok
}

// snapshot returns a copy of the list.
func (d *damageList) snapshot() map[uuid.UUID]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make(map[uuid.UUID]string, len(d.reasons))
	for k, v := range d.reasons {
		out[k] = v
	}
	return out
}

func (d *damageList) forget(keys map[uuid.UUID]string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k := range keys {
		delete(d.reasons, k)
	}
}

// damaged notes that a record cannot be read and returns the error for it.
func (tx *Tx) damaged(key uuid.UUID, err error) error {
	reason := err.Error()
	tx.s.damage.note(key, reason)
	return errSetAside(formatID(key[:]), reason)
}

func errSetAside(id task.ID, reason string) error {
	return task.Errorf(task.Internal, "task %s: its record cannot be read (%s) and was set aside", id, reason).
		WithHint("the other tasks are not concerned; a backup from before has it")
}

// setAside returns why a task was set aside; empty if it was not.
func (tx *Tx) setAside(key uuid.UUID) string {
	reason, _, _ := bytes.Cut(tx.get(rQuarantine, key[:]), []byte{0})
	return string(reason)
}

// quarantine moves records that cannot be read to the quarantine, byte for byte, and takes them
// out of the indexes. What they were indexed under cannot be known, so the indexes are searched.
func (tx *Tx) quarantine(records map[uuid.UUID]string) error {
	moved := map[uuid.UUID]bool{}
	for key, reason := range records {
		value := tx.get(rTasks, key[:])
		if value == nil {
			continue
		}
		kept := append(append([]byte(reason), 0), value...)
		if err := tx.put(rQuarantine, key[:], kept); err != nil {
			return err
		}
		if err := tx.delete(rTasks, key[:]); err != nil {
			return err
		}
		moved[key] = true
	}
	return tx.unindex(moved)
}

// unindex removes the keys of all indexes that end with one of ids: what a damaged record says of itself
// leads to none of them.
func (tx *Tx) unindex(ids map[uuid.UUID]bool) error {
	if len(ids) == 0 {
		return nil
	}
	for _, x := range indexes {
		var stale [][]byte
		s := tx.scan(x.region)
		for k, _ := s.First(); k != nil; k, _ = s.Next() {
			if ids[uuid.UUID(k[len(k)-idSize:])] {
				stale = append(stale, bytes.Clone(k))
			}
		}
		for _, k := range stale {
			if err := tx.delete(x.region, k); err != nil {
				return err
			}
			switch x.region { // each task is in one of them
			case rReady:
				tx.state().Ready--
				tx.state().Counts[statusPending]--
			case rByKind:
				tx.state().Counts[k[len(k)-idSize-1]]--
			}
		}
	}
	return nil
}

// quarantined names the records that were set aside, for people.
func (tx *Tx) quarantined() []string {
	var out []string
	c := tx.scan(rQuarantine)
	for k, v := c.First(); k != nil; k, v = c.Next() {
		reason, _, _ := bytes.Cut(v, []byte{0})
		out = append(out, fmt.Sprintf("task %s was set aside: its record cannot be read (%s)", formatID(k), reason))
	}
	return out
}
