package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"durable/daemon/store"
	"durable/ipc/task"
)

func (b *bench) key(name string) (e store.KeyEntry, ok bool) {
	b.Helper()
	b.view(func(tx *store.Tx) (err error) { e, ok, err = tx.Key(name); return err })
	return e, ok
}

// timed returns the name of a key as clients make them up: kept between the tasks.
func timed(before string) string { return before + uuid.Must(uuid.NewV7()).String() }

// testKeysAside: keys between the tasks are taken for none, whether they are of their time or, from a clock that is wrong, of another.
func testKeysAside(t *testing.T, open Opener) {
	b := start(t, open, store.Options{})
	long := uuid.UUID{0x7f, 0, 0, 0, 0, 0, 0x70, 0, 0x80} // of the year 6387
	names := []string{"0/submit/00000000-0000-7000-8000-000000000000", "0/submit/" + long.String(), timed("0/submit/"), timed("x")}
	var want []task.ID
	for i := range 3 * len(names) {
		rec := Pending("noop")
		b.update(func(tx *store.Tx) error {
			if err := tx.PutKey(names[i%len(names)]+strings.Repeat("x", i/len(names)), store.KeyEntry{}, &rec); err != nil {
				return err
			}
			return tx.Create(&rec)
		})
		want = slices.Insert(want, 0, rec.Task.ID)
	}
	b.view(func(tx *store.Tx) error {
		var got []task.ID
		for q := (task.ListQuery{Limit: 5}); ; {
			page, err := tx.List(q)
			if err != nil {
				return err
			}
			for i := range page.Tasks {
				got = append(got, page.Tasks[i].ID)
			}
			if q.Cursor = page.NextCursor; q.Cursor == "" {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("list (-want +got):\n%s", diff)
		}
		for i, id := range want {
			if got, err := tx.Resolve(task.Ref(strconv.Itoa(len(want) - i))); err != nil || got != id {
				t.Errorf("number %d is %s, %v; want %s", len(want)-i, got, err, id)
			}
		}
		if got, err := tx.Resolve("@last"); err != nil || got != want[0] {
			t.Errorf("the newest is %s, %v; want %s", got, err, want[0])
		}
		return nil
	})
}

// testKeys: a key may be put before or after the record that it names, and by a closure that runs twice.
func testKeys(t *testing.T, open Opener) {
	b := start(t, open, store.Options{})
	hash := [32]byte{1, 2, 3}
	for name, before := range map[string]bool{"0/submit/a": true, "0/submit/b": false, timed("0/submit/"): true, timed("0/retry/"): false} {
		rec := Pending("noop")
		create := func(tx *store.Tx) error {
			if before {
				if err := tx.PutKey(name, store.KeyEntry{Hash: hash}, &rec); err != nil {
					return err
				}
			}
			if err := tx.Create(&rec); err != nil || before {
				return err
			}
			return tx.PutKey(name, store.KeyEntry{TaskID: rec.Task.ID, Hash: hash}, &rec)
		}
		// The first run is rolled back and leaves its marks in rec.
		failed := errors.New("rolled back")
		err := b.Update(context.Background(), store.Admission, func(tx *store.Tx) error {
			if err := create(tx); err != nil {
				return err
			}
			return failed
		})
		if !errors.Is(err, failed) {
			t.Fatal(err)
		}
		if _, ok := b.key(name); ok {
			t.Errorf("key of a transaction that was rolled back")
		}
		b.update(create)
		got, ok := b.key(name)
		if want := (store.KeyEntry{TaskID: rec.Task.ID, Hash: hash}); !ok || got != want {
			t.Errorf("key: %+v %v, want %+v", got, ok, want)
		}
		read := b.task(rec.Task.ID)
		if diff := cmp.Diff([]string{name}, read.Keys); diff != "" || read.Task.RootID != rec.Task.ID {
			t.Errorf("keys of the record, root %s (-want +got):\n%s", read.Task.RootID, diff)
		}
		b.change(rec.Task.ID, end(task.StatusCompleted, time.Now()))
		if _, ok := b.key(name); !ok {
			t.Errorf("key is gone with the task's end")
		}
	}
	for _, name := range []string{"", strings.Repeat("k", 5000)} {
		rec := Pending("noop")
		err := b.Update(context.Background(), store.Admission, func(tx *store.Tx) error {
			return tx.PutKey(name, store.KeyEntry{}, &rec)
		})
		if !errors.Is(err, task.InvalidArgument) {
			t.Errorf("key of %d bytes: %v", len(name), err)
		}
	}
}

// testKeysExpire: keys outlive a task that is removed, until KeyRetention after its end.
func testKeysExpire(t *testing.T, open Opener) {
	now := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	b := start(t, open, store.Options{Now: func() time.Time { return now }})
	early, late := timed("0/submit/"), timed("0/submit/")
	for _, name := range []string{"early", early, "late", late} {
		rec := Pending("noop")
		b.update(func(tx *store.Tx) error {
			if err := tx.PutKey(name, store.KeyEntry{}, &rec); err != nil {
				return err
			}
			return tx.Create(&rec)
		})
		b.change(rec.Task.ID, end(task.StatusCompleted, now))
		if name == "late" || name == late {
			now = now.Add(store.KeyRetention + time.Hour)
		}
		b.update(func(tx *store.Tx) error { return tx.Delete(rec.Task.ID) })
		_, ok := b.key(name)
		if want := name == "early" || name == early; ok != want {
			t.Errorf("key %s after the removal: %v, want %v", name, ok, want)
		}
	}
	now = now.Add(time.Hour)
	b.create(Pending("noop"))
	for _, name := range []string{"early", early} {
		if _, ok := b.key(name); ok {
			t.Errorf("key %s outlived its retention", name)
		}
	}
}

func testResolve(t *testing.T, open Opener) {
	now := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	b := start(t, open, store.Options{Now: func() time.Time { now = now.Add(time.Hour); return now }})
	var recs []store.Record
	for i := range 8 {
		rec := Pending("noop")
		rec.Task.Title = "title " + string(rune('a'+i))
		recs = append(recs, b.create(rec))
	}
	resolve := func(ref string) (id task.ID, err error) {
		err = b.View(func(tx *store.Tx) (err error) { id, err = tx.Resolve(task.Ref(ref)); return err })
		return id, err
	}
	id := string(recs[2].Task.ID)
	for _, ref := range []string{"3", id, strings.ToUpper(id), id[:9], id[:12], id[24:], id[30:], id[29:]} {
		if kind, _ := task.Ref(ref).Parse(); kind == task.RefNumber && ref != "3" {
			continue // an ending that has only digits is taken for a number
		}
		if got, err := resolve(ref); err != nil || got != recs[2].Task.ID {
			t.Errorf("%s: %s, %v", ref, got, err)
		}
	}
	if got, err := resolve("@last"); err != nil || got != recs[7].Task.ID {
		t.Errorf("@last: %s, %v", got, err)
	}
	for ref, want := range map[string]task.Code{
		"9": task.NotFound, "ffffffff": task.NotFound, "019a0000-0000-7000-8000-000000000000": task.NotFound,
		"": task.InvalidArgument, "abc": task.InvalidArgument, "not a task": task.InvalidArgument,
	} {
		if _, err := resolve(ref); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %s", ref, err, want)
		}
	}
	_, err := resolve(id[:5])
	if !errors.Is(err, task.InvalidArgument) || !strings.Contains(err.Error(), "8 title h; 7 title g; ") || strings.Contains(err.Error(), "title c") {
		t.Errorf("ambiguous: %v", err)
	}
	for i, rec := range recs { // also between and beyond those that are gone
		if i%3 == 0 {
			b.update(func(tx *store.Tx) error { return tx.Delete(rec.Task.ID) })
		}
	}
	for i, rec := range recs {
		got, err := resolve(fmt.Sprint(rec.Task.Number))
		if gone := i%3 == 0; gone && !errors.Is(err, task.NotFound) || !gone && got != rec.Task.ID {
			t.Errorf("%d: %s, %v", rec.Task.Number, got, err)
		}
	}
}
