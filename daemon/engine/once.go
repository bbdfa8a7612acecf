package engine

import (
	"crypto/sha256"
	"encoding/json"
	"strconv"

	"durable/daemon/store"
	"durable/ipc/task"
)

// once makes a call have its effect once per idempotency key. The zero value promises nothing.
type once struct {
	name string // scoped by user and method; empty: no key was given
	hash [sha256.Size]byte
}

func newOnce(owner task.Owner, method string, key task.Key, request any) (once, error) {
	switch {
	case key == "":
		return once{}, nil
	case len(key) > task.MaxKey:
		return once{}, task.Errorf(task.InvalidArgument, "idempotency key: %d bytes, the limit is %d", len(key), task.MaxKey)
	}
	b, err := json.Marshal(request)
	if err != nil {
		return once{}, task.Errorf(task.InvalidArgument, "request: %w", err)
	}
	return once{name: strconv.Itoa(owner.UID) + "/" + method + "/" + string(key), hash: sha256.Sum256(b)}, nil
}

// find reports whether the key was used before, and if so loads the task it names into rec.
func (o once) find(tx *store.Tx, rec *store.Record) (bool, error) {
	if o.name == "" {
		return false, nil
	}
	entry, ok, err := tx.Key(o.name)
	if err != nil || !ok {
		return false, err
	}
	if entry.Hash != o.hash {
		return true, task.Errorf(task.Conflict, "this idempotency key was used for another request").
			WithHint("use a new key for a new request")
	}
	found, err := tx.Task(entry.TaskID)
	if err != nil {
		return true, task.Errorf(task.FailedPrecondition, "the task of this idempotency key was removed").
			WithHint("use a new key to do it again")
	}
	*rec = *found
	return true, nil
}

// keep stores the key with rec, which the caller then writes: the record remembers its keys.
func (o once) keep(tx *store.Tx, rec *store.Record) error {
	if o.name == "" {
		return nil
	}
	return tx.PutKey(o.name, store.KeyEntry{TaskID: rec.Task.ID, Hash: o.hash}, rec)
}

// repeated answers a repetition without a write transaction.
func (e *Engine) repeated(o once) (t task.Task, done bool, err error) {
	if o.name == "" {
		return t, false, nil
	}
	err = e.store.View(func(tx *store.Tx) error {
		var rec store.Record
		var err error
		done, err = o.find(tx, &rec)
		t = rec.Task
		return err
	})
	return e.live.overlay(t), done, err
}
