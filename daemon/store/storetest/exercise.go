package storetest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"durable/daemon/store"
	"durable/ipc/task"
)

// Exercise tests all that is promised of a store.
func Exercise(t *testing.T, open Opener) {
	for name, test := range map[string]func(*testing.T, Opener){
		"Create":       testCreate,
		"Order":        testOrder,
		"Reopen":       testReopen,
		"Queue":        testQueue,
		"CreateAs":     testCreateAs,
		"Due":          testDue,
		"Asking":       testAsking,
		"EndedBefore":  testEndedBefore,
		"Final":        testFinal,
		"Secrets":      testSecrets,
		"Checkpoint":   testCheckpoint,
		"Params":       testParams,
		"Delete":       testDelete,
		"Keys":         testKeys,
		"KeysExpire":   testKeysExpire,
		"KeysAside":    testKeysAside,
		"Resolve":      testResolve,
		"List":         testList,
		"ListErrors":   testListErrors,
		"ListLabels":   testListLabels,
		"Journal":      testJournal,
		"JournalPrune": testJournalPrune,
		"EventsOf":     testEventsOf,
		"JournalAge":   testJournalAge,
		"Rollback":     testRollback,
		"Panic":        testPanic,
		"Crowd":        testCrowd,
		"Context":      testContext,
		"Closed":       testClosed,
		"Backup":       testBackup,
	} {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

func testCreate(t *testing.T, open Opener) {
	now := time.Date(2026, 11, 22, 20, 0, 0, 123456789, time.UTC)
	b := start(t, open, store.Options{Now: func() time.Time { return now }})
	rec := b.create(Pending("noop"))
	if rec.Task.Number != 1 || rec.Task.RootID != rec.Task.ID || !rec.Task.CreatedAt.Equal(now) {
		t.Errorf("created %+v", rec.Task)
	}
	rec.Task.Labels = map[string]string{}
	if diff := cmp.Diff(rec, b.task(rec.Task.ID)); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	b.view(func(tx *store.Tx) error {
		counts, _ := tx.Counts()
		want := map[task.Status]int{"pending": 1, "running": 0, "completed": 0, "failed": 0, "cancelled": 0}
		if diff := cmp.Diff(want, counts); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
		events, err := tx.Events(task.CursorStart, 10)
		if err != nil {
			return err
		}
		cursor, _ := tx.Cursor()
		wantEvents := []task.Event{{Cursor: cursor, Time: now, Type: task.EventSubmitted, TaskID: rec.Task.ID, Task: rec.Task.Summary()}}
		if diff := cmp.Diff(wantEvents, events); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		return nil
	})
	if err := b.View(func(tx *store.Tx) error {
		_, err := tx.Task("0192f0c1-0000-7000-8000-000000000000")
		return err
	}); !errors.Is(err, task.NotFound) {
		t.Errorf("unknown task: %v", err)
	}
}

// testOrder: IDs and numbers only ever grow, also when the clock goes back and the newest task is removed.
func testOrder(t *testing.T, open Opener) {
	now := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	b := start(t, open, store.Options{Now: func() time.Time { return now }})
	var last store.Record
	for i := range 200 {
		if i == 100 {
			now = now.Add(-48 * time.Hour)
			b.change(last.Task.ID, end(task.StatusCompleted, now))
			b.update(func(tx *store.Tx) error { return tx.Delete(last.Task.ID) })
			b.reopen()
		}
		rec := b.create(Pending("noop"))
		if rec.Task.ID <= last.Task.ID || rec.Task.Number != last.Task.Number+1 {
			t.Fatalf("%d %s after %d %s", rec.Task.Number, rec.Task.ID, last.Task.Number, last.Task.ID)
		}
		last = rec
	}
}

func testReopen(t *testing.T, open Opener) {
	b := start(t, open, store.Options{})
	for range 20 {
		b.create(Pending("noop"))
	}
	snapshot := func() (list task.TaskList) {
		b.view(func(tx *store.Tx) (err error) {
			list, err = tx.List(task.ListQuery{Limit: task.MaxLimit})
			return err
		})
		return list
	}
	want := snapshot()
	for range 3 { // from a clean stop each time, so that the free list is read back
		b.reopen()
		if diff := cmp.Diff(want, snapshot()); diff != "" {
			t.Fatalf("after reopening (-want +got):\n%s", diff)
		}
		b.create(Pending("noop"))
		want = snapshot()
	}
}

// testRollback: a closure that fails after it has written leaves nothing, and harms nobody.
func testRollback(t *testing.T, open Opener) {
	b := start(t, open, store.Options{})
	var wg sync.WaitGroup
	boom := errors.New("boom")
	for i := range 64 {
		wg.Go(func() {
			err := b.Update(context.Background(), store.Admission, func(tx *store.Tx) error {
				rec := Pending("good")
				if i%4 == 0 {
					rec.Task.Kind = "bad"
				}
				if err := tx.Create(&rec); err != nil {
					return err
				}
				if i%4 == 0 {
					return boom
				}
				return nil
			})
			if want := i%4 == 0; errors.Is(err, boom) != want || (err != nil) != want {
				t.Errorf("update %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	b.view(func(tx *store.Tx) error {
		list, err := tx.List(task.ListQuery{Limit: task.MaxLimit})
		if err != nil {
			return err
		}
		for i, got := range list.Tasks {
			if got.Kind != "good" || got.Number != uint64(48-i) {
				t.Errorf("task %d: kind %s", got.Number, got.Kind)
			}
		}
		ready, _ := tx.ReadyCount()
		n, _ := tx.JournalLen()
		if len(list.Tasks) != 48 || *list.Total != 48 || ready != 48 || n != 48 {
			t.Errorf("%d tasks, total %d, %d ready, %d events; want 48 of each", len(list.Tasks), *list.Total, ready, n)
		}
		return nil
	})
}

func testPanic(t *testing.T, open Opener) {
	b := start(t, open, store.Options{})
	err := b.Update(context.Background(), store.Admission, func(tx *store.Tx) error {
		rec := Pending("noop")
		_ = tx.Create(&rec)
		panic("slipped")
	})
	if !errors.Is(err, task.Internal) || !strings.Contains(err.Error(), "slipped") {
		t.Errorf("update: %v", err)
	}
	err = b.View(func(tx *store.Tx) error {
		ids, err := tx.Ready(0)
		_ = ids[len(ids)]
		return err
	})
	if !errors.Is(err, task.Internal) {
		t.Errorf("view: %v", err)
	}
	if rec := b.create(Pending("noop")); rec.Task.Number != 1 {
		t.Errorf("number %d after a panic, want 1", rec.Task.Number)
	}
}

// testCrowd: all that was acknowledged is there, once.
func testCrowd(t *testing.T, open Opener) {
	b := start(t, open, store.Options{})
	var mu sync.Mutex
	acked := map[uint64]task.ID{}
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 20 {
				var rec store.Record
				err := b.Update(context.Background(), store.Admission, func(tx *store.Tx) error {
					rec = Pending("noop")
					return tx.Create(&rec)
				})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acked[rec.Task.Number] = rec.Task.ID
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	b.reopen()
	if len(acked) != 640 {
		t.Fatalf("%d numbers for 640 tasks", len(acked))
	}
	for n, id := range acked {
		if got := b.task(id); got.Task.Number != n {
			t.Fatalf("task %s has number %d, was acknowledged as %d", id, got.Task.Number, n)
		}
	}
}

func testContext(t *testing.T, open Opener) {
	b := start(t, open, store.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	inside := make(chan struct{})
	release := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = b.Update(context.Background(), store.Admission, func(*store.Tx) error {
			close(inside)
			<-release
			return nil
		})
	})
	<-inside // the committer is busy: the next call cannot be taken up
	err := b.Update(ctx, store.Admission, func(*store.Tx) error { t.Error("called"); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("update with a cancelled context: %v", err)
	}
	close(release)
	wg.Wait()
}

func testClosed(t *testing.T, open Opener) {
	b := start(t, open, store.Options{})
	if err := b.Store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.View(func(*store.Tx) error { return nil }); !errors.Is(err, task.Unavailable) {
		t.Errorf("view: %v", err)
	}
	err := b.Update(context.Background(), store.Essential, func(*store.Tx) error { return nil })
	if !errors.Is(err, task.Unavailable) {
		t.Errorf("update: %v", err)
	}
}
