package store

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protowire"

	"durable/ipc/task"
)

// KeyRetention is how long an idempotency key is kept after its task's end, also when the task is removed
// before.
const KeyRetention = 7 * 24 * time.Hour

// maxKeyName bounds the name of a key, in bytes: user, method and the client's own key of task.MaxKey.
const maxKeyName = 1024

// keysPerPrune bounds what one transaction spends on keys that have had their time.
const keysPerPrune = 256

// KeyEntry is what an idempotency key stands for.
type KeyEntry struct {
	TaskID task.ID
	// Hash tells the request that used the key from any other.
	Hash [32]byte
}

var keyFields = newMessage(
	ident(1, func(e *KeyEntry) *task.ID { return &e.TaskID }),
	field[KeyEntry]{2, protowire.BytesType,
		func(b []byte, e *KeyEntry) []byte {
			return protowire.AppendBytes(protowire.AppendTag(b, 2, protowire.BytesType), e.Hash[:])
		},
		func(e *KeyEntry, val value) error { copy(e.Hash[:], val.b); return nil }},
)

// Key returns what was stored under an idempotency key.
func (tx *Tx) Key(name string) (KeyEntry, bool, error) {
	r, at := placeOfKey(name)
	value := tx.get(r, at)
	if value == nil && r != rKeys { // it may have outlived its task
		value = tx.get(rKeys, []byte(name))
	}
	if value == nil {
		return KeyEntry{}, false, nil
	}
	var e KeyEntry
	body, err := unseal([]byte(name), value)
	if err == nil {
		err = keyFields.parse(body, &e)
	}
	if err != nil {
		return KeyEntry{}, false, task.Errorf(task.Internal, "idempotency key %q cannot be read: %w", name, err)
	}
	return e, true, nil
}

// placeOfKey returns where a key is kept. What clients make up ends with a UUID that begins with the time: such a key lies between
// the tasks of that time, in a leaf that a submit writes anyway. Its entry is longer than a task's, since something precedes the UUID.
func placeOfKey(name string) (region, []byte) {
	if n := len(name) - len(uuid.Nil.String()); n > 0 {
		if id, ok := canonical(task.ID(name[n:])); ok && id.Version() == 7 {
			return rTasks, append(append(make([]byte, 0, idSize+n), id[:]...), name[:n]...)
		}
	}
	return rKeys, []byte(name)
}

// PutKey stores an idempotency key that names rec's task and notes it in rec. It is cheapest before the
// Create or Put of rec: an ID that is still missing is assigned then, and e.TaskID filled in. After
// it, the record is written once more.
func (tx *Tx) PutKey(name string, e KeyEntry, rec *Record) error {
	if name == "" || len(name) > maxKeyName {
		return task.Errorf(task.InvalidArgument, "idempotency key: %d bytes, want 1 to %d", len(name), maxKeyName)
	}
	key, ok := key16(rec.Task.ID)
	exists := ok && tx.get(rTasks, key[:]) != nil
	if !exists {
		key = tx.assign(rec)
		if tx.assigned == nil {
			tx.assigned = map[*Record]uuid.UUID{}
		}
		tx.assigned[rec] = key
	}
	e.TaskID = rec.Task.ID
	r, at := placeOfKey(name)
	if err := tx.put(r, at, encode(tx, []byte(name), keyFields, &e)); err != nil {
		return err
	}
	if slices.Contains(rec.Keys, name) {
		return nil
	}
	rec.Keys = append(slices.Clip(rec.Keys), name)
	if exists {
		return tx.Put(rec, "")
	}
	return nil
}

// expireKeys is told that rec goes: its keys go now, or when they have had their time.
func (tx *Tx) expireKeys(rec *Record) error {
	end := rec.Task.UpdatedAt
	if rec.Task.CompletedAt != nil {
		end = *rec.Task.CompletedAt
	}
	until := end.Add(KeyRetention)
	for _, name := range rec.Keys {
		err := tx.dropKey(name, until.After(tx.now))
		if err == nil && until.After(tx.now) {
			err = tx.put(rExpiring, append(appendTime(nil, until), name...), nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// dropKey removes a key. One that is to outlive its task only leaves its place between the tasks: they must not be lost among keys of
// tasks that are gone.
func (tx *Tx) dropKey(name string, keep bool) error {
	r, at := placeOfKey(name)
	if r != rKeys {
		value := bytes.Clone(tx.get(r, at))
		if value == nil {
			return nil
		}
		if err := tx.delete(r, at); err != nil || !keep {
			return err
		}
		return tx.put(rKeys, []byte(name), value)
	}
	if keep {
		return nil
	}
	return tx.deleteIfThere(rKeys, at)
}

// pruneKeys removes keys that have had their time, a few at once. It reports whether there may be more.
func (tx *Tx) pruneKeys() (more bool, err error) {
	now := appendTime(nil, tx.now)
	var due [][]byte
	c := tx.scan(rExpiring)
	for k, _ := c.First(); k != nil && bytes.Compare(k[:len(now)], now) <= 0 && len(due) < keysPerPrune; k, _ = c.Next() {
		due = append(due, bytes.Clone(k))
	}
	for _, k := range due {
		if err := tx.delete(rExpiring, k); err != nil {
			return false, err
		}
		name := string(k[len(now):])
		if err := errors.Join(tx.dropKey(name, false), tx.deleteIfThere(rKeys, []byte(name))); err != nil {
			return false, err
		}
	}
	return len(due) == keysPerPrune, nil
}
