package storetest

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"durable/daemon/store"
	"durable/ipc/task"
)

// testCreateAs holds a task that is made and changed in one go against one that is made and then changed.
func testCreateAs(t *testing.T, open Opener) {
	b := start(t, open, store.Options{})
	begin := func(r *store.Record) error {
		r.Task.Status, r.Task.Phase, r.Task.Attempt = task.StatusRunning, task.PhaseStarting, 1
		r.Nonce, r.Survives = "n", true
		return nil
	}
	fresh := func() store.Record {
		rec := Pending("noop")
		rec.Task.Params = bytes.Repeat([]byte("1"), 2000) // apart
		return rec
	}
	two := fresh()
	b.update(func(tx *store.Tx) error {
		if err := tx.PutKey("two", store.KeyEntry{}, &two); err != nil {
			return err
		}
		if err := tx.Create(&two); err != nil {
			return err
		}
		_ = begin(&two)
		return tx.Put(&two, task.EventStarted)
	})
	one := fresh()
	b.update(func(tx *store.Tx) error {
		if err := tx.PutKey("one", store.KeyEntry{}, &one); err != nil {
			return err
		}
		return tx.CreateAs(&one, task.EventStarted, begin)
	})
	bare := func(r store.Record) store.Record { // without its names
		r.Task.ID, r.Task.RootID, r.Task.Number, r.Keys = "", "", 0, nil
		r.Task.CreatedAt, r.Task.UpdatedAt = time.Time{}, time.Time{}
		return r
	}
	if diff := cmp.Diff(bare(b.task(two.Task.ID)), bare(b.task(one.Task.ID))); diff != "" {
		t.Errorf("(-made, then changed +at once):\n%s", diff)
	}
	if diff := cmp.Diff(b.task(one.Task.ID), one); diff != "" {
		t.Errorf("not as it is read (-want +got):\n%s", diff)
	}
	var spoiled store.Record
	refusal := errors.New("no")
	err := b.Update(t.Context(), store.Essential, func(tx *store.Tx) error {
		spoiled = Pending("noop")
		return tx.CreateAs(&spoiled, task.EventStarted, func(*store.Record) error { return refusal })
	})
	if !errors.Is(err, refusal) {
		t.Errorf("refused: %v", err)
	}
	b.view(func(tx *store.Tx) error {
		counts, _ := tx.Counts()
		ready, _ := tx.ReadyCount()
		ids, _ := tx.ByStatus(task.StatusRunning, 9)
		if counts[task.StatusRunning] != 2 || counts[task.StatusPending] != 0 || ready != 0 || len(ids) != 2 {
			t.Errorf("counts %v, %d ready, running %v", counts, ready, ids)
		}
		events, err := tx.Events(task.CursorStart, 9)
		var said []string
		for _, ev := range events {
			said = append(said, string(ev.Type)+" "+string(ev.Task.Phase))
		}
		if diff := cmp.Diff([]string{"submitted queued", "started starting", "submitted queued", "started starting"}, said); diff != "" {
			t.Errorf("journal (-want +got):\n%s", diff)
		}
		return err
	})
}

func testQueue(t *testing.T, open Opener) {
	b := start(t, open, store.Options{})
	var ids []task.ID
	for _, priority := range []int{0, 5, -3, 5, 0} {
		rec := Pending("noop")
		rec.Task.Priority = priority
		ids = append(ids, b.create(rec).Task.ID)
	}
	ready := func(want ...int) {
		t.Helper()
		var wantIDs []task.ID
		for _, i := range want {
			wantIDs = append(wantIDs, ids[i])
		}
		b.view(func(tx *store.Tx) error {
			got, err := tx.Ready(10)
			n, _ := tx.ReadyCount()
			if diff := cmp.Diff(wantIDs, got); diff != "" || n != len(want) {
				t.Errorf("ready: count %d (-want +got):\n%s", n, diff)
			}
			return err
		})
	}
	ready(1, 3, 0, 4, 2)
	b.change(ids[1], func(r *store.Record) { r.Task.Status, r.Task.Phase = task.StatusRunning, task.PhaseRunning })
	b.change(ids[0], func(r *store.Record) { r.Task.Phase = task.PhasePaused })
	ready(3, 4, 2)
	b.change(ids[1], func(r *store.Record) { r.Task.Status, r.Task.Phase = task.StatusPending, task.PhaseQueued })
	ready(1, 3, 4, 2)
	b.view(func(tx *store.Tx) error {
		first, _ := tx.Ready(2)
		pending, _ := tx.ByStatus(task.StatusPending, 3)
		if diff := cmp.Diff([][]task.ID{{ids[1], ids[3]}, {ids[0], ids[1], ids[2]}}, [][]task.ID{first, pending}); diff != "" {
			t.Errorf("limited (-want +got):\n%s", diff)
		}
		return nil
	})

	b.change(ids[2], func(r *store.Record) {
		end(task.StatusFailed, time.Now())(r)
		r.CleanPending = true
	})
	clean := func(want []task.ID) {
		t.Helper()
		b.view(func(tx *store.Tx) error {
			got, err := tx.CleanPending(10)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("to clean (-want +got):\n%s", diff)
			}
			return err
		})
	}
	clean([]task.ID{ids[2]})
	b.change(ids[2], func(r *store.Record) { r.CleanPending = false })
	clean(nil)
}

func testDue(t *testing.T, open Opener) {
	b := start(t, open, store.Options{})
	base := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	at := func(d time.Duration) *time.Time { u := base.Add(d); return &u }
	retry := Pending("noop")
	retry.Task.Phase, retry.Task.NextAttemptAt = task.PhaseRetryWait, at(2*time.Second+1)
	later := Pending("noop")
	later.Task.Phase, later.Task.RunAt = task.PhaseScheduled, at(time.Hour)
	retry, later = b.create(retry), b.create(later)
	b.create(Pending("noop"))
	due := func(now time.Time, want ...task.ID) {
		t.Helper()
		b.view(func(tx *store.Tx) error {
			got, err := tx.Due(now, 10)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("due (-want +got):\n%s", diff)
			}
			return err
		})
	}
	next := func(want time.Time, wantOK bool) {
		t.Helper()
		b.view(func(tx *store.Tx) error {
			got, ok, err := tx.NextDue()
			if ok != wantOK || ok && (got.Before(want) || got.Sub(want) > time.Microsecond) {
				t.Errorf("next due: %v %v, want %v %v", got, ok, want, wantOK)
			}
			return err
		})
	}
	due(*at(2 * time.Second)) // a nanosecond early
	next(*retry.Task.NextAttemptAt, true)
	due(*at(3 * time.Second), retry.Task.ID)
	due(*at(2 * time.Hour), retry.Task.ID, later.Task.ID)
	b.change(retry.Task.ID, func(r *store.Record) { r.Task.Phase = task.PhaseQueued })
	next(*later.Task.RunAt, true)
	b.change(later.Task.ID, func(r *store.Record) { r.Task.Phase = task.PhasePaused })
	next(time.Time{}, false)
}

// testAsking: what waits for a yes is found, and is due when its time is up.
func testAsking(t *testing.T, open Opener) {
	b := start(t, open, store.Options{})
	base := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	rec := Pending("noop")
	rec.Task.Phase = task.PhaseAwaitingApproval
	rec.Effects = []task.Effect{{Act: task.ActRun, Program: "/bin/x", Folder: "/"}}
	rec.Task.Approval = &task.Approval{Effects: rec.Effects, AskedAt: base, ExpiresAt: base.Add(24 * time.Hour)}
	a := b.create(rec)
	c := b.create(rec)
	b.create(Pending("noop"))
	want := func(asking, due []task.ID) {
		t.Helper()
		b.view(func(tx *store.Tx) error {
			got, _ := tx.Asking(10)
			gotDue, err := tx.Due(base.Add(24*time.Hour), 10)
			if diff := cmp.Diff([][]task.ID{asking, due}, [][]task.ID{got, gotDue}); diff != "" {
				t.Errorf("asking, due (-want +got):\n%s", diff)
			}
			early, _ := tx.Due(base.Add(24*time.Hour-1), 10)
			one, _ := tx.Asking(1)
			if len(early) != 0 || len(one) > 1 {
				t.Errorf("early %v, limited %v", early, one)
			}
			return err
		})
	}
	both := []task.ID{a.Task.ID, c.Task.ID}
	want(both, both)
	if got := b.task(a.Task.ID); cmp.Diff(a.Effects, got.Effects) != "" || cmp.Diff(a.Task.Approval, got.Task.Approval) != "" {
		t.Errorf("read back: %+v, %+v", got.Effects, got.Task.Approval)
	}
	b.change(a.Task.ID, func(r *store.Record) { r.Task.Phase, r.Task.Approval = task.PhaseQueued, nil })
	want(both[1:], both[1:])
	b.change(c.Task.ID, end(task.StatusCancelled, base)) // which was never approved: the record keeps what it asked for
	want(nil, nil)
}

func testEndedBefore(t *testing.T, open Opener) {
	b := start(t, open, store.Options{})
	base := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	var ids []task.ID
	for i, st := range []task.Status{task.StatusFailed, task.StatusCompleted, task.StatusCancelled, task.StatusCompleted, task.StatusCompleted} {
		id := b.create(Pending("noop")).Task.ID
		b.change(id, end(st, base.Add(time.Duration(-i)*time.Hour)))
		ids = append(ids, id)
	}
	b.create(Pending("noop"))
	for _, tt := range []struct {
		before time.Time
		max    int
		want   []task.ID
	}{
		{base.Add(time.Second), 10, []task.ID{ids[4], ids[3], ids[2], ids[1], ids[0]}},
		{base, 10, []task.ID{ids[4], ids[3], ids[2], ids[1]}},
		{base.Add(time.Hour), 2, []task.ID{ids[4], ids[3]}},
		{base.Add(-5 * time.Hour), 10, nil},
	} {
		b.view(func(tx *store.Tx) error {
			got, err := tx.EndedBefore(tt.before, tt.max)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("before %s, at most %d (-want +got):\n%s", tt.before, tt.max, diff)
			}
			return err
		})
	}
}

// testFinal: a status that is final stays, whoever wants to change it.
func testFinal(t *testing.T, open Opener) {
	b := start(t, open, store.Options{})
	rec := b.create(Pending("noop"))
	b.change(rec.Task.ID, end(task.StatusCancelled, time.Now()))
	for _, st := range []task.Status{task.StatusPending, task.StatusRunning, task.StatusCompleted, task.StatusFailed} {
		err := b.Update(t.Context(), store.Essential, func(tx *store.Tx) error {
			rec, err := tx.Task(rec.Task.ID)
			if err != nil {
				return err
			}
			rec.Task.Status = st
			return tx.Put(rec, task.EventStatus)
		})
		if !errors.Is(err, task.Internal) {
			t.Errorf("cancelled to %s: %v", st, err)
		}
	}
	b.change(rec.Task.ID, func(r *store.Record) { r.Task.RetriedBy = rec.Task.ID }) // the rest may change
	if got := b.task(rec.Task.ID).Task; got.Status != task.StatusCancelled || got.RetriedBy != rec.Task.ID {
		t.Errorf("task is %+v", got)
	}
}

func testSecrets(t *testing.T, open Opener) {
	b := start(t, open, store.Options{})
	rec := b.create(Pending("noop"))
	secret := []byte(`{"password":"hunter2"}`)
	b.update(func(tx *store.Tx) error { return tx.PutSecrets(rec.Task.ID, secret) })
	read := func() (got []byte) {
		b.view(func(tx *store.Tx) (err error) { got, err = tx.Secrets(rec.Task.ID); return err })
		return got
	}
	b.reopen()
	if got := read(); !bytes.Equal(got, secret) {
		t.Errorf("secrets: %q", got)
	}
	b.change(rec.Task.ID, end(task.StatusCompleted, time.Now()))
	if got := read(); got != nil {
		t.Errorf("secrets after the end: %q", got)
	}
	err := b.Update(t.Context(), store.Essential, func(tx *store.Tx) error {
		return tx.PutSecrets("0192f0c1-0000-7000-8000-000000000000", secret)
	})
	if !errors.Is(err, task.NotFound) {
		t.Errorf("secrets of nobody: %v", err)
	}
}

func testCheckpoint(t *testing.T, open Opener) {
	now := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	b := start(t, open, store.Options{Now: func() time.Time { return now }})
	rec := b.create(Pending("noop"))
	stale := b.task(rec.Task.ID)
	read := func(id task.ID) (got []byte) {
		b.view(func(tx *store.Tx) (err error) { got, err = tx.Checkpoint(id); return err })
		return got
	}
	if got := read(rec.Task.ID); got != nil {
		t.Errorf("checkpoint of a new task: %q", got)
	}
	b.change(rec.Task.ID, func(r *store.Record) {
		r.Task.Status, r.Task.Phase, r.Task.Attempt = task.StatusRunning, task.PhaseRunning, 3
	})
	large := bytes.Repeat([]byte("checkpoint "), task.MaxCheckpoint/11)
	for _, data := range [][]byte{[]byte(`{"row":17}`), large, []byte(`{}`)} {
		b.update(func(tx *store.Tx) error { return tx.PutCheckpoint(rec.Task.ID, data) })
		b.reopen()
		want := &task.Checkpoint{At: now, Bytes: len(data), Attempt: 3}
		if diff := cmp.Diff(want, b.task(rec.Task.ID).Task.Checkpoint); diff != "" {
			t.Errorf("description (-want +got):\n%s", diff)
		}
		if got := read(rec.Task.ID); !bytes.Equal(got, data) {
			t.Errorf("read %d bytes, want %d", len(got), len(data))
		}
	}
	b.update(func(tx *store.Tx) error { return tx.Put(&stale, "") }) // an old copy takes nothing back
	if got := b.task(rec.Task.ID).Task.Checkpoint; got == nil || got.Bytes != 2 {
		t.Errorf("description after a put of an old copy: %+v", got)
	}
	b.update(func(tx *store.Tx) error {
		return errors.Join(tx.DropCheckpoint(rec.Task.ID), tx.DropCheckpoint(rec.Task.ID))
	})
	b.reopen()
	if got, data := b.task(rec.Task.ID).Task.Checkpoint, read(rec.Task.ID); got != nil || data != nil {
		t.Errorf("dropped, and still there: %+v, %q", got, data)
	}
	b.update(func(tx *store.Tx) error { return tx.PutCheckpoint(rec.Task.ID, []byte(`{}`)) })
	err := b.Update(t.Context(), store.Essential, func(tx *store.Tx) error {
		return tx.PutCheckpoint(rec.Task.ID, make([]byte, task.MaxCheckpoint+1))
	})
	if !errors.Is(err, task.InvalidArgument) {
		t.Errorf("too large a checkpoint: %v", err)
	}
}

// testParams: small and large parameters, and every way from one to the other.
func testParams(t *testing.T, open Opener) {
	b := start(t, open, store.Options{})
	id := b.create(Pending("noop")).Task.ID
	for _, n := range []int{10, 5000, task.MaxParams, 2000, 2000, 10, 0, 5000} {
		params := []byte(nil)
		if n > 0 {
			params = []byte(`"` + strings.Repeat("p", n-2) + `"`)
		}
		b.change(id, func(r *store.Record) { r.Task.Params = params })
		b.change(id, func(r *store.Record) { r.Task.Attempt++ })
		if got := b.task(id).Task.Params; !bytes.Equal(got, params) {
			t.Errorf("%d bytes, want %d", len(got), len(params))
		}
	}
}

func testDelete(t *testing.T, open Opener) {
	b := start(t, open, store.Options{})
	keep, gone := b.create(Pending("a")), Pending("a")
	gone.Task.Params = bytes.Repeat([]byte("1"), 5000)
	gone = b.create(gone)
	b.update(func(tx *store.Tx) error { return tx.PutCheckpoint(gone.Task.ID, []byte("x")) })
	b.change(gone.Task.ID, end(task.StatusFailed, time.Now()))
	b.update(func(tx *store.Tx) error { return tx.Delete(gone.Task.ID) })
	b.view(func(tx *store.Tx) error {
		list, err := tx.List(task.ListQuery{})
		if err != nil || len(list.Tasks) != 1 || list.Tasks[0].ID != keep.Task.ID || *list.Total != 1 {
			t.Errorf("list: %+v, %v", list, err)
		}
		for _, q := range []task.ListQuery{{Status: []task.Status{"failed"}}, {Order: task.OrderEnded}} {
			if list, _ := tx.List(q); len(list.Tasks) != 0 {
				t.Errorf("list %+v: %+v", q, list.Tasks)
			}
		}
		if data, _ := tx.Checkpoint(gone.Task.ID); data != nil {
			t.Errorf("its checkpoint is still there")
		}
		if _, err := tx.Resolve("2"); !errors.Is(err, task.NotFound) {
			t.Errorf("its number: %v", err)
		}
		events, _ := tx.Events(task.CursorStart, 100)
		if last := events[len(events)-1]; last.Type != task.EventRemoved || last.TaskID != gone.Task.ID {
			t.Errorf("last event: %+v", last)
		}
		return nil
	})
	err := b.Update(t.Context(), store.Essential, func(tx *store.Tx) error { return tx.Delete(gone.Task.ID) })
	if !errors.Is(err, task.NotFound) {
		t.Errorf("deleted twice: %v", err)
	}
}
