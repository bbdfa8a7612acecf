package engine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"durable/daemon/engine"
	"durable/daemon/job"
	"durable/daemon/store"
	"durable/ipc/task"
)

func writeFile(dir, name, content string) error {
	return os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600)
}

// brokenStore fails commits as a disk does.
type brokenStore struct {
	*store.Store
	failed chan struct{}

	mu      sync.Mutex
	full    int  // so many Updates find the disk full
	late    int  // so many find out after the closure has run
	commit  bool // whether the transaction of the unknown outcome is in the file
	unknown bool // the next Update has an unknown outcome, all others after it are refused
	broken  bool
}

func (b *brokenStore) Update(ctx context.Context, class store.Class, fn func(*store.Tx) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.broken:
		return task.Errorf(task.Unavailable, "the store has failed")
	case b.full > 0:
		b.full--
		return task.Errorf(task.ResourceExhausted, "the disk is full")
	case b.late > 0:
		b.late--
		full := task.Errorf(task.ResourceExhausted, "the disk is full")
		return b.Store.Update(ctx, class, func(tx *store.Tx) error {
			if err := fn(tx); err != nil {
				return err
			}
			return full
		})
	case b.unknown:
		b.broken = true
		if b.commit {
			if err := b.Store.Update(ctx, class, fn); err != nil {
				return err
			}
		}
		close(b.failed)
		return task.OutcomeUnknown(errors.New("input/output error"))
	}
	return b.Store.Update(ctx, class, fn)
}

func (b *brokenStore) View(fn func(*store.Tx) error) error {
	b.mu.Lock()
	broken := b.broken
	b.mu.Unlock()
	if broken {
		return task.Errorf(task.Unavailable, "the store has failed")
	}
	return b.Store.View(fn)
}

func (b *brokenStore) Failed() <-chan struct{} { return b.failed }
func (b *brokenStore) Err() error              { return errors.New("input/output error") }

func (b *brokenStore) arm(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

func newBrokenHouse(t *testing.T, kinds ...job.Kind) (*house, *brokenStore) {
	b := &brokenStore{failed: make(chan struct{})}
	h := newHouse(t, kinds...)
	h.wrap = func(s *store.Store) engine.Store {
		b.Store = s
		return b
	}
	h.up()
	h.wrap = nil
	return h, b
}

// crashed waits for the end of the engine, which must be an error, and starts it anew on the file.
func (h *house) crashed() {
	h.t.Helper()
	if err := <-h.ended; err == nil {
		h.t.Fatal("the engine went on, or ended without an error, after a commit whose outcome is unknown")
	}
	h.stop()
	h.close()
	h.up()
}

func TestUnknownOutcomeOfASubmitEndsTheEngine(t *testing.T) {
	for _, committed := range []bool{false, true} {
		h, b := newBrokenHouse(t, ok)
		b.arm(func() { b.unknown, b.commit = true, committed })
		_, err := h.Submit(t.Context(), task.Spec{Kind: "ok"}, "key")
		wantCode(t, err, task.Unavailable)
		if task.AsError(err).Details[task.DetailOutcome] != "unknown" {
			t.Errorf("the caller is not told that the outcome is unknown: %v", err)
		}
		h.crashed()
		again, err := h.Submit(t.Context(), task.Spec{Kind: "ok"}, "key")
		if err != nil {
			t.Fatal(err)
		}
		h.wait(again.ID)
		list, err := h.List(t.Context(), task.ListQuery{})
		if err != nil || len(list.Tasks) != 1 {
			t.Errorf("in the file %v: %d tasks of one key, %v", committed, len(list.Tasks), err)
		}
	}
}

func TestNobodyHearsOfAnEndingWhoseCommitFailed(t *testing.T) {
	for _, committed := range []bool{false, true} {
		release := make(chan struct{})
		running := make(chan int, 4)
		h, b := newBrokenHouse(t, script{name: "k", run: func(_ context.Context, j *job.Context) (any, error) {
			running <- j.Attempt()
			<-release
			return "done", nil
		}})
		id := h.submit(task.Spec{Kind: "k"}).ID
		<-running
		s, err := h.Events(t.Context(), task.EventQuery{Task: id.Ref(), Follow: true})
		if err != nil {
			t.Fatal(err)
		}
		waited := make(chan error, 1)
		go func() {
			_, err := h.Wait(t.Context(), id.Ref(), time.Minute)
			waited <- err
		}()
		b.arm(func() { b.unknown, b.commit = true, committed })
		close(release)
		if err := <-waited; !errors.Is(err, task.Unavailable) {
			t.Errorf("a waiter was told %v", err)
		}
		if ev, err := s.Next(); err == nil {
			t.Errorf("a watcher was told of %+v", ev)
		}
		s.Close()
		h.crashed()
		end := h.wait(id)
		want := 2 // lost with the crash, so done again
		if committed {
			want = 1
		}
		if end.Status != task.StatusCompleted || end.Attempt != want {
			t.Errorf("in the file %v: %s after attempt %d, want %d", committed, end.Status, end.Attempt, want)
		}
	}
}

func TestARepetitionIsAnsweredOnAFullDisk(t *testing.T) {
	h, b := newBrokenHouse(t, ok)
	spec := task.Spec{Kind: "ok"}
	first, err := h.Submit(t.Context(), spec, "key")
	if err != nil {
		t.Fatal(err)
	}
	h.wait(first.ID)
	b.arm(func() { b.full = 2 })
	if again, err := h.Submit(t.Context(), spec, "key"); err != nil || again.ID != first.ID {
		t.Errorf("repetition: %s, %v; want task %s", again.ID, err, first.ID)
	}
	_, err = h.Submit(t.Context(), spec, "another key")
	wantCode(t, err, task.ResourceExhausted)
	if again, err := h.Submit(t.Context(), spec, "key"); err != nil || again.ID != first.ID {
		t.Errorf("repetition: %s, %v; want task %s", again.ID, err, first.ID)
	}
	stats, err := h.Stats(t.Context())
	if err != nil || stats.Submitted != 1 {
		t.Errorf("%d tasks accepted, %v; want 1", stats.Submitted, err)
	}
}

func TestAFullDiskIsWaitedOutByAnEnding(t *testing.T) {
	release := make(chan struct{})
	running := make(chan struct{}, 1)
	h, b := newBrokenHouse(t, script{name: "k", run: func(context.Context, *job.Context) (any, error) {
		running <- struct{}{}
		<-release
		return "done", nil
	}})
	id := h.submit(task.Spec{Kind: "k"}).ID
	<-running
	b.arm(func() { b.full = 1 })
	_, err := h.Submit(t.Context(), task.Spec{Kind: "k"}, "")
	wantCode(t, err, task.ResourceExhausted)
	b.arm(func() { b.full = 1 })
	close(release)
	if end := h.wait(id); end.Status != task.StatusCompleted || end.Attempt != 1 {
		t.Errorf("%s after attempt %d", end.Status, end.Attempt)
	}
}
