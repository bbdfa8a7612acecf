package storetest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"durable/daemon/store"
	"durable/ipc/task"
)

func (b *bench) events(after task.Cursor, max int) (events []task.Event, err error) {
	err = b.View(func(tx *store.Tx) (err error) { events, err = tx.Events(after, max); return err })
	return events, err
}

func (b *bench) appendEvents(n int) {
	b.Helper()
	b.update(func(tx *store.Tx) error {
		for range n {
			if err := tx.Append(task.Event{Type: task.EventKinds}); err != nil {
				return err
			}
		}
		return nil
	})
}

func testJournal(t *testing.T, open Opener) {
	b := start(t, open, store.Options{})
	if got, err := b.events(task.CursorStart, 10); err != nil || len(got) != 0 {
		t.Errorf("empty journal: %v, %v", got, err)
	}
	b.appendEvents(25)
	b.reopen()
	var seen []task.Event
	for after := task.CursorStart; ; {
		got, err := b.events(after, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 {
			break
		}
		seen = append(seen, got...)
		after = got[len(got)-1].Cursor
	}
	if len(seen) != 25 {
		t.Errorf("%d events, want 25", len(seen))
	}
	if got, err := b.events("", 10); err != nil || len(got) != 0 {
		t.Errorf("from now on: %v, %v", got, err)
	}
	last := string(seen[24].Cursor)
	epoch := last[:len(last)-len(".25")]
	for cursor, want := range map[string]task.Code{
		"garbage": task.InvalidArgument, epoch + ".": task.InvalidArgument, epoch + ".007": task.InvalidArgument,
		epoch + ".-1": task.InvalidArgument, ".5": task.InvalidArgument,
		epoch + ".26": task.OutOfRange, "0000.5": task.OutOfRange,
	} {
		if _, err := b.events(task.Cursor(cursor), 10); !errors.Is(err, want) {
			t.Errorf("cursor %s: %v, want %s", cursor, err, want)
		}
	}
}

// testEventsOf: what is left out is passed all the same, and counts.
func testEventsOf(t *testing.T, open Opener) {
	b := start(t, open, store.Options{})
	tasks := []task.ID{"019a0000-0000-7000-8000-000000000001", "019a0000-0000-7000-8000-000000000002", "named", ""}
	types := []task.EventType{task.EventSubmitted, task.EventStarted, task.EventStatus}
	b.update(func(tx *store.Tx) error {
		for i := range 120 {
			ev := task.Event{TaskID: tasks[i%len(tasks)], Type: types[i%len(types)]}
			if i%7 > 0 {
				ev.Time = time.Unix(int64(i), 0)
			}
			if err := tx.Append(ev); err != nil {
				return err
			}
		}
		return nil
	})
	all, err := b.events(task.CursorStart, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range append(tasks, "019a0000-0000-7000-8000-000000000009") {
		for _, typ := range append(types, "", task.EventRemoved) {
			var want, got []task.Event
			for _, ev := range all {
				if (id == "" || ev.TaskID == id) && (typ == "" || ev.Type == typ) {
					want = append(want, ev)
				}
			}
			steps := 0
			for after := task.CursorStart; ; steps++ {
				var some []task.Event
				var next task.Cursor
				err := b.View(func(tx *store.Tx) (err error) {
					some, next, err = tx.EventsOf(store.EventFilter{Task: id, Type: typ}, after, 7)
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, some...)
				if next == after {
					break
				}
				after = next
			}
			if diff := cmp.Diff(want, got); diff != "" || steps != 18 { // 120 in sevens
				t.Errorf("task %q, type %q, in %d steps:\n%s", id, typ, steps, diff)
			}
		}
	}
}

func testJournalPrune(t *testing.T, open Opener) {
	b := start(t, open, store.Options{JournalMax: 500})
	b.appendEvents(10)
	early, err := b.events(task.CursorStart, 1)
	if err != nil {
		t.Fatal(err)
	}
	for range 40 {
		b.appendEvents(100)
	}
	var n uint64
	b.view(func(tx *store.Tx) (err error) { n, err = tx.JournalLen(); return err })
	if n < 500 || n > 1600 {
		t.Errorf("journal has %d events, want 500 and up to a chunk more", n)
	}
	_, err = b.events(early[0].Cursor, 10)
	if !errors.Is(err, task.OutOfRange) {
		t.Fatalf("old cursor: %v", err)
	}
	first, _ := task.AsError(err).Details["first"].(string)
	left, err := b.events(task.Cursor(first), store.MaxEvents)
	if err != nil || uint64(len(left)) != n {
		t.Errorf("from the first left: %d events, %v; want %d", len(left), err, n)
	}
}

func testJournalAge(t *testing.T, open Opener) {
	now := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	b := start(t, open, store.Options{JournalAge: time.Hour, Now: func() time.Time { return now }})
	b.appendEvents(1500)
	now = now.Add(2 * time.Hour)
	b.appendEvents(1)
	var n uint64
	b.view(func(tx *store.Tx) (err error) { n, err = tx.JournalLen(); return err })
	if n != 501 {
		t.Errorf("journal has %d events, want 501: a chunk is too old, the rest is none", n)
	}
}

func testBackup(t *testing.T, open Opener) {
	b := start(t, open, store.Options{})
	queued, running, stopping := b.create(Pending("a")), b.create(Pending("a")), b.create(Pending("a"))
	done, approval := b.create(Pending("a")), b.create(Pending("a"))
	b.change(running.Task.ID, func(r *store.Record) {
		r.Task.Status, r.Task.Phase, r.Task.Attempt = task.StatusRunning, task.PhaseRunning, 1
	})
	b.change(stopping.Task.ID, func(r *store.Record) {
		r.Task.Status, r.Task.Phase, r.Task.Attempt = task.StatusRunning, task.PhaseStopping, 2
		now := time.Now()
		r.Task.CancelRequestedAt = &now
	})
	b.change(done.Task.ID, end(task.StatusCompleted, time.Now()))
	b.change(approval.Task.ID, func(r *store.Record) { r.Task.Phase = task.PhaseAwaitingApproval })
	secret := []byte("hunter2-is-the-secret")
	b.update(func(tx *store.Tx) error {
		return errors.Join(tx.PutSecrets(queued.Task.ID, secret), tx.PutCheckpoint(running.Task.ID, []byte("row 17")))
	})
	var cursor task.Cursor
	b.view(func(tx *store.Tx) (err error) { cursor, err = tx.Cursor(); return err })

	for _, withSecrets := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "backup.db")
		result, err := b.Backup(context.Background(), path, withSecrets)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(path)
		if err != nil || result.Tasks != 5 || result.Path != path || result.Bytes != int64(len(raw)) {
			t.Errorf("backup: %+v, %v", result, err)
		}
		if bytes.Contains(raw, secret) != withSecrets {
			t.Errorf("secrets in the backup: %v, want %v", !withSecrets, withSecrets)
		}
		if left, _ := filepath.Glob(path + ".*"); len(left) != 0 {
			t.Errorf("left over: %v", left)
		}
		if _, err := b.Backup(context.Background(), path, false); !errors.Is(err, task.FailedPrecondition) {
			t.Errorf("backup over a file: %v", err)
		}
		restored := &bench{T: t, open: b.open, o: store.Options{Dir: t.TempDir()}}
		if err := store.Restore(path, restored.o.Dir); err != nil {
			t.Fatal(err)
		}
		if err := store.Restore(path, restored.o.Dir); !errors.Is(err, task.FailedPrecondition) {
			t.Errorf("restore over a store: %v", err)
		}
		restored.reopen()
		checkRestored(restored, cursor, map[task.ID]task.State{
			queued.Task.ID:   {Status: task.StatusPending, Phase: task.PhasePaused},
			running.Task.ID:  {Status: task.StatusPending, Phase: task.PhasePaused},
			stopping.Task.ID: {Status: task.StatusCancelled},
			done.Task.ID:     {Status: task.StatusCompleted},
			approval.Task.ID: {Status: task.StatusPending, Phase: task.PhaseAwaitingApproval},
		})
		restored.view(func(tx *store.Tx) error {
			got, err := tx.Secrets(queued.Task.ID)
			if bytes.Equal(got, secret) != withSecrets {
				t.Errorf("restored secrets: %q", got)
			}
			data, _ := tx.Checkpoint(running.Task.ID)
			if string(data) != "row 17" {
				t.Errorf("restored checkpoint: %q", data)
			}
			return err
		})
		if err := restored.Store.Close(); err != nil {
			t.Error(err)
		}
		Check(t, restored.o.Dir)
	}
	if _, err := b.Backup(context.Background(), "backup.db", false); !errors.Is(err, task.InvalidArgument) {
		t.Errorf("relative path: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	path := filepath.Join(t.TempDir(), "backup.db")
	if _, err := b.Backup(ctx, path, false); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if left, _ := filepath.Glob(path + "*"); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}

func checkRestored(b *bench, old task.Cursor, want map[task.ID]task.State) {
	b.Helper()
	for id, state := range want {
		got := b.task(id)
		if got.Task.State() != state {
			b.Errorf("restored task %d is %v, want %v", got.Task.Number, got.Task.State(), state)
		}
		if paused := state.Phase == task.PhasePaused; paused != (got.Task.Reason == task.ReasonRestored) {
			b.Errorf("restored task %d: reason %q", got.Task.Number, got.Task.Reason)
		}
	}
	if _, err := b.events(old, 10); !errors.Is(err, task.OutOfRange) {
		b.Errorf("cursor of the old epoch: %v", err)
	}
	events, err := b.events(task.CursorStart, 10)
	if err != nil || len(events) == 0 || events[0].Type != task.EventDaemon {
		b.Errorf("journal after the restore: %+v, %v", events, err)
	}
	if rec := b.create(Pending("a")); rec.Task.Number != uint64(len(want))+1 {
		b.Errorf("next number %d", rec.Task.Number)
	}
}
