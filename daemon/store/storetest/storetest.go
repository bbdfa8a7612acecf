// Package storetest tests stores and helps to test what stands on them: a conformance suite
// ([Exercise]), a check of the file itself ([Check]), and a store that fails where a test wants it to
// ([Faulty]).
//
// # Design
//
// [Faulty] wraps a real store instead of imitating one: what survives an injected failure is then what
// bbolt would have kept, and the suite proves that the wrapper itself changes nothing. Rejected: an
// in-memory store, which would pass tests that the real one fails.
package storetest

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"durable/daemon/store"
	"durable/ipc/task"
)

// Store is what [Exercise] tests.
type Store interface {
	Update(ctx context.Context, class store.Class, fn func(*store.Tx) error) error
	View(fn func(*store.Tx) error) error
	Failed() <-chan struct{}
	Err() error
	Full() bool
	Info() store.Info
	Backup(ctx context.Context, path string, withSecrets bool) (task.BackupResult, error)
	Close() error
}

// Opener opens the store that o describes.
type Opener func(o store.Options) (Store, error)

// Check fails the test if the file of a closed store is not consistent.
func Check(t testing.TB, dir string) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, "store.db"), 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Second, PreLoadFreelist: true})
	if err != nil {
		t.Errorf("check: %v", err)
		return
	}
	defer db.Close()
	_ = db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			t.Errorf("check: %v", err)
		}
		return nil
	})
}

// bench is one test's store.
type bench struct {
	*testing.T
	Store
	open Opener
	o    store.Options
}

// start opens a store in a folder of its own, to be closed and checked at the end.
func start(t *testing.T, open Opener, o store.Options) *bench {
	t.Helper()
	o.Dir = t.TempDir()
	b := &bench{T: t, open: open, o: o}
	b.reopen()
	t.Cleanup(func() {
		if err := b.Store.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		Check(t, o.Dir)
	})
	return b
}

// reopen closes the store and opens it again.
func (b *bench) reopen() {
	b.Helper()
	if b.Store != nil {
		if err := b.Store.Close(); err != nil {
			b.Fatalf("close: %v", err)
		}
	}
	s, err := b.open(b.o)
	if err != nil {
		b.Fatalf("open: %v", err)
	}
	b.Store = s
}

func (b *bench) update(fn func(*store.Tx) error) {
	b.Helper()
	if err := b.Update(context.Background(), store.Essential, fn); err != nil {
		b.Fatalf("update: %v", err)
	}
}

func (b *bench) view(fn func(*store.Tx) error) {
	b.Helper()
	if err := b.View(fn); err != nil {
		b.Fatalf("view: %v", err)
	}
}

// Pending returns a record as a submit makes it.
func Pending(kind string) store.Record {
	return store.Record{Task: task.Task{Kind: kind, Status: task.StatusPending, Phase: task.PhaseQueued}}
}

// create stores rec.
func (b *bench) create(rec store.Record) store.Record {
	b.Helper()
	b.update(func(tx *store.Tx) error { return tx.Create(&rec) })
	return rec
}

// change reads a task, lets fn change it, and puts it.
func (b *bench) change(id task.ID, fn func(*store.Record)) {
	b.Helper()
	b.update(func(tx *store.Tx) error {
		rec, err := tx.Task(id)
		if err != nil {
			return err
		}
		fn(rec)
		return tx.Put(rec, task.EventStatus)
	})
}

// end completes a task at that time.
func end(status task.Status, at time.Time) func(*store.Record) {
	return func(rec *store.Record) {
		rec.Task.Status, rec.Task.Phase, rec.Task.CompletedAt = status, task.PhaseNone, &at
	}
}

func (b *bench) task(id task.ID) store.Record {
	b.Helper()
	var out store.Record
	b.view(func(tx *store.Tx) error {
		rec, err := tx.Task(id)
		if err == nil {
			out = *rec
		}
		return err
	})
	return out
}
