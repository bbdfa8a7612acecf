package engine_test

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"durable/daemon/engine"
	"durable/daemon/job"
	"durable/daemon/store"
	"durable/ipc/task"
)

// TestOneAttemptOfALineAtATime: the tasks of a line share their work's place (a partial file is named by
// the root), so that of all of them one may be unfinished, whichever of them is repeated.
func TestOneAttemptOfALineAtATime(t *testing.T) {
	h := newHouse(t, script{name: "k", run: func(context.Context, *job.Context) (any, error) { return nil, errors.New("no") }}).up()
	ctx := t.Context()
	retry := func(of task.Task) task.Task {
		t.Helper()
		got, err := h.Retry(ctx, of.ID.Ref(), task.RetryRequest{}, "")
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	a := h.wait(h.submit(task.Spec{Kind: "k"}).ID)
	b := h.wait(retry(a).ID)
	if _, err := h.Drain(ctx, task.DrainRequest{}); err != nil {
		t.Fatal(err)
	}
	retry(a) // queued: unfinished
	_, err := h.Retry(ctx, b.ID.Ref(), task.RetryRequest{}, "")
	wantCode(t, err, task.FailedPrecondition)
	if err := h.Forget(ctx, b.ID.Ref()); err != nil {
		t.Fatal(err)
	}
	_, err = h.Retry(ctx, a.ID.Ref(), task.RetryRequest{}, "")
	wantCode(t, err, task.FailedPrecondition)
}

// TestAForgottenLinkDoesNotHideTheRestOfTheLine: 1 <- 2 <- 3, where 2 is forgotten and 3 unfinished.
func TestAForgottenLinkDoesNotHideTheRestOfTheLine(t *testing.T) {
	h := newHouse(t, script{name: "k", run: func(context.Context, *job.Context) (any, error) { return nil, errors.New("no") }}).up()
	ctx := t.Context()
	a := h.wait(h.submit(task.Spec{Kind: "k"}).ID)
	b, err := h.Retry(ctx, a.ID.Ref(), task.RetryRequest{}, "")
	if err != nil {
		t.Fatal(err)
	}
	h.wait(b.ID)
	if _, err := h.Drain(ctx, task.DrainRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Retry(ctx, b.ID.Ref(), task.RetryRequest{}, ""); err != nil {
		t.Fatal(err)
	}
	if err := h.Forget(ctx, b.ID.Ref()); err != nil {
		t.Fatal(err)
	}
	_, err = h.Retry(ctx, a.ID.Ref(), task.RetryRequest{}, "")
	wantCode(t, err, task.FailedPrecondition)
}

// TestALineThatHasCompletedIsNotContinued: to go on from the checkpoint of what failed before would do the rest twice.
func TestALineThatHasCompletedIsNotContinued(t *testing.T) {
	h := newHouse(t, script{name: "k", run: func(_ context.Context, j *job.Context) (any, error) {
		if j.ID() == j.RootID() {
			return nil, errors.New("no")
		}
		return nil, nil
	}}).up()
	ctx := t.Context()
	a := h.wait(h.submit(task.Spec{Kind: "k"}).ID)
	b, err := h.Retry(ctx, a.ID.Ref(), task.RetryRequest{}, "")
	if err != nil {
		t.Fatal(err)
	}
	if end := h.wait(b.ID); end.Status != task.StatusCompleted {
		t.Fatal(end.Status)
	}
	_, err = h.Retry(ctx, a.ID.Ref(), task.RetryRequest{}, "")
	wantCode(t, err, task.FailedPrecondition)
	if fresh, err := h.Retry(ctx, a.ID.Ref(), task.RetryRequest{Fresh: true}, ""); err != nil || fresh.RootID != fresh.ID {
		t.Errorf("from the beginning: %+v, %v", fresh, err)
	}
}

// TestCancelOfATaskThatWaitsIsCleanedUpToo: a Cleaner is called for each terminal task.
func TestCancelOfATaskThatWaitsIsCleanedUpToo(t *testing.T) {
	cleaned := make(chan task.Status, 10)
	h := newHouse(t, cleaner{
		script: script{name: "k", run: func(context.Context, *job.Context) (any, error) { return nil, errors.New("no") }},
		clean:  func(t task.Task) error { cleaned <- t.Status; return nil },
	}).up()
	id := h.submit(task.Spec{Kind: "k", Retry: &task.Retry{MaxAttempts: 2, Backoff: task.Duration(time.Hour)}}).ID
	h.awaitState(id, func(t task.Task) bool { return t.Phase == task.PhaseRetryWait })
	if _, err := h.Cancel(t.Context(), id.Ref(), task.CancelRequest{}, ""); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-cleaned:
		if got != task.StatusCancelled {
			t.Errorf("cleaned while %s", got)
		}
	case <-time.After(time.Minute):
		t.Fatal("never cleaned")
	}
}

// TestCrashLoopCountsInterruptionsInARow: an attempt that ended by itself is no crash.
func TestCrashLoopCountsInterruptionsInARow(t *testing.T) {
	running, release := make(chan int, 10), make(chan struct{})
	defer close(release)
	k := script{name: "k", run: func(_ context.Context, j *job.Context) (any, error) {
		running <- j.Attempt()
		if j.Attempt() == 3 {
			return nil, errors.New("no")
		}
		<-release
		return nil, nil
	}}
	h := newStubbornHouse(t, k)
	id := h.submit(task.Spec{Kind: "k", Retry: &task.Retry{MaxAttempts: 9, Backoff: task.Duration(time.Millisecond)}}).ID
	<-running
	h.abandon()
	<-running
	h.abandon()
	<-running // the third fails
	<-running // the fourth is interrupted
	h.abandon()
	if got := h.get(id); got.Phase == task.PhasePaused {
		t.Errorf("paused as %s after two interruptions, a failure and one more interruption", got.Reason)
	}
}

// TestADamagedRecordOfARunningTaskStopsNothingElse: not the recovery either.
func TestADamagedRecordOfARunningTaskStopsNothingElse(t *testing.T) {
	k, running, release, _ := stubborn("k", nil, nil)
	h := newHouse(t, k)
	h.open()
	h.Engine = engine.New(engine.Config{
		Store: h.store, Kinds: h.kinds, TasksDir: filepath.Join(h.dir, "tasks"), Slots: 2, StopGrace: time.Millisecond,
	})
	h.run()
	bad, good := h.submit(task.Spec{Kind: "k"}), h.submit(task.Spec{Kind: "k"})
	<-running
	<-running
	h.stop()
	if err := <-h.ended; err != nil {
		t.Fatal(err)
	}
	h.stop = nil
	h.close()
	db, err := bbolt.Open(filepath.Join(h.dir, "store.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		tree := tx.Bucket([]byte("tree"))
		key, value := tree.Cursor().Seek([]byte{13}) // the first of the tasks, bad: IDs rise
		broken := append([]byte{}, value...)
		broken[len(broken)-1] ^= 0x40
		return tree.Put(append([]byte{}, key...), broken)
	})
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	h.up()
	if <-running; h.get(good.ID).Attempt != 2 {
		t.Error("the sound task does not go on")
	}
	close(release)
	h.wait(good.ID)
	if info, err := h.Info(t.Context()); err != nil || len(info.Warnings) != 1 || !strings.Contains(info.Warnings[0], string(bad.ID)) {
		t.Errorf("warnings %q, %v; want one that names %s", info.Warnings, err, bad.ID)
	}
}

// deafStore fails without any Update: as when a view finds the file broken.
type deafStore struct {
	*store.Store
	failed chan struct{}
}

func (d *deafStore) Failed() <-chan struct{} { return d.failed }
func (d *deafStore) Err() error              { return errors.New("input/output error") }

// TestAStoreThatFailsInAViewEndsTheEngine: nobody may ever write again, but the daemon has to leave.
func TestAStoreThatFailsInAViewEndsTheEngine(t *testing.T) {
	d := &deafStore{failed: make(chan struct{})}
	h := newHouse(t, ok)
	h.wrap = func(s *store.Store) engine.Store { d.Store = s; return d }
	h.up()
	h.wait(h.submit(task.Spec{Kind: "ok"}).ID)
	close(d.failed)
	select {
	case err := <-h.ended:
		if err == nil {
			t.Error("ended without an error")
		}
	case <-time.After(time.Minute):
		t.Error("the engine goes on without a store")
		h.stop()
		<-h.ended
	}
	h.stop()
	h.stop = nil
	h.close()
}

// TestDrainHoldsFromItsAnswerOn: an attempt that is being claimed while Drain is called is seen in its answer.
func TestDrainHoldsFromItsAnswerOn(t *testing.T) {
	k, running, release := hold("k")
	defer close(release)
	h := newHouse(t, k)
	h.open()
	answer := make(chan task.Info, 1)
	called := false
	h.Engine = engine.New(engine.Config{
		Store: h.store, Kinds: h.kinds, TasksDir: filepath.Join(h.dir, "tasks"), Slots: 1,
		Hook: func(point string) {
			if point != "start.before" || called {
				return
			}
			called = true
			begun := make(chan struct{})
			go func() {
				close(begun)
				info, err := h.Drain(context.Background(), task.DrainRequest{})
				if err != nil {
					t.Error(err)
				}
				answer <- info
			}()
			<-begun
			select { // with all the time it wants, if it does not wait for us
			case info := <-answer:
				answer <- info
			case <-time.After(200 * time.Millisecond):
			}
		},
	})
	id := h.submit(task.Spec{Kind: "k"}).ID // nothing is claimed yet: it is left to the scheduler
	h.run()
	info := <-answer
	if got := h.get(id); got.Status == task.StatusPending && info.Active == 0 {
		select {
		case <-running:
			t.Error("started after the answer to the drain")
		case <-time.After(time.Second):
		}
	} else if info.Active != 1 {
		t.Errorf("task %s, but %d active at the answer", got.Status, info.Active)
	}
}

// TestProgressWithoutANumber: a rate of n/0 must not make the task, and each list that it is in, unreadable.
func TestProgressWithoutANumber(t *testing.T) {
	reported, release := make(chan struct{}), make(chan struct{})
	h := newHouse(t, script{name: "k", run: func(_ context.Context, j *job.Context) (any, error) {
		j.Progress(task.Progress{Done: math.MinInt64, Total: task.Total(math.MaxInt64), Rate: math.Inf(1)})
		j.Progress(task.Progress{Done: 1, Rate: math.NaN()})
		close(reported)
		<-release
		return nil, nil
	}}).up()
	defer close(release)
	id := h.submit(task.Spec{Kind: "k"}).ID
	<-reported
	if got := h.get(id); got.Progress.Rate != 0 {
		t.Errorf("rate %v", got.Progress.Rate)
	}
}

// TestNoProgressOfAnAttemptAfterItsEnd: who reads late must not be told last that a task runs which waits.
func TestNoProgressOfAnAttemptAfterItsEnd(t *testing.T) {
	h := newHouse(t, script{name: "k", run: func(_ context.Context, j *job.Context) (any, error) {
		j.Progress(task.Progress{Done: 1})
		return nil, errors.New("no")
	}}).up()
	s, err := h.Events(t.Context(), task.EventQuery{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	id := h.submit(task.Spec{Kind: "k", Retry: &task.Retry{MaxAttempts: 2, Backoff: task.Duration(time.Hour)}}).ID
	h.awaitState(id, func(t task.Task) bool { return t.Phase == task.PhaseRetryWait })
	var last task.Event
	for {
		ev, err := s.Next()
		if err != nil {
			break
		}
		if last = ev; ev.Task != nil && ev.Task.Phase == task.PhaseRetryWait { // all is there by now
			defer time.AfterFunc(100*time.Millisecond, func() { _ = s.Close() }).Stop()
		}
	}
	if last.Task == nil || last.Task.Phase != task.PhaseRetryWait {
		t.Errorf("the last event is %s: %+v", last.Type, last.Task)
	}
}

// TestProgressWhileStopping does not say that a cancelled task goes on.
func TestProgressWhileStopping(t *testing.T) {
	running, told, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
	h := newHouse(t, script{name: "k", run: func(ctx context.Context, j *job.Context) (any, error) {
		close(running)
		<-ctx.Done()
		j.Progress(task.Progress{Done: 1})
		close(told)
		<-release
		return nil, nil
	}}).up()
	id := h.submit(task.Spec{Kind: "k"}).ID
	<-running
	s, err := h.Events(t.Context(), task.EventQuery{Task: id.Ref(), Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := h.Cancel(t.Context(), id.Ref(), task.CancelRequest{}, ""); err != nil {
		t.Fatal(err)
	}
	<-told
	defer close(release)
	for {
		ev, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		if ev.Task.Phase != task.PhaseStopping {
			t.Errorf("%s says %s", ev.Type, ev.Task.Phase)
		}
		if ev.Type == task.EventProgress {
			return
		}
	}
}

// TestAStreamEndsWithItsContext, also one that nobody closes.
func TestAStreamEndsWithItsContext(t *testing.T) {
	h := newHouse(t, ok).up()
	ctx, cancel := context.WithCancel(t.Context())
	s, err := h.Events(ctx, task.EventQuery{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	guard := time.AfterFunc(time.Minute, func() { _ = s.Close() })
	defer guard.Stop()
	cancel()
	_, err = s.Next()
	wantCode(t, err, task.Unavailable)
}

// TestAFollowedLogMayBeClosedWhileItIsRead: the daemon does so when the client goes. Run with -race.
func TestAFollowedLogMayBeClosedWhileItIsRead(t *testing.T) {
	running, speak, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
	h := newHouse(t, script{name: "k", run: func(_ context.Context, j *job.Context) (any, error) {
		close(running)
		<-speak
		j.Logf("hello")
		<-release
		return nil, nil
	}}).up()
	defer close(release)
	id := h.submit(task.Spec{Kind: "k"}).ID
	<-running
	log, err := h.Log(t.Context(), id.Ref(), task.LogQuery{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error)
	go func() { closed <- log.Body.Close() }()
	close(speak)
	for {
		if _, err := log.Body.Read(make([]byte, 100)); err != nil {
			break
		}
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}
