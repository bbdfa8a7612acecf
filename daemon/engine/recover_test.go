package engine_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"durable/daemon/engine"
	"durable/daemon/job"
	"durable/ipc/task"
)

// stubborn returns a kind whose attempts do not return when they are told to: the engine leaves
// without them, as a crash does. act runs in the abandoned attempt once the test says so.
func stubborn(name string, before, act func(*job.Context) error) (k script, running chan int, release chan struct{}, acted chan error) {
	running, release, acted = make(chan int, 10), make(chan struct{}), make(chan error, 10)
	return script{name: name, run: func(ctx context.Context, j *job.Context) (any, error) {
		if before != nil {
			if err := before(j); err != nil {
				return nil, err
			}
		}
		running <- j.Attempt()
		<-release
		if act != nil {
			acted <- act(j)
		}
		return nil, nil
	}}, running, release, acted
}

// abandon stops the engine while an attempt does not return, and starts another one on the same store.
func (h *house) abandon() {
	h.t.Helper()
	h.stop()
	if err := <-h.ended; err != nil {
		h.t.Fatal(err)
	}
	eng := engine.New(engine.Config{
		Store: h.store, Kinds: h.kinds, TasksDir: filepath.Join(h.dir, "tasks"), Slots: h.slots, StopGrace: time.Millisecond,
	})
	h.Engine = eng
	h.run()
}

func newStubbornHouse(t *testing.T, k script) *house {
	h := newHouse(t, k)
	h.open()
	h.Engine = engine.New(engine.Config{
		Store: h.store, Kinds: h.kinds, TasksDir: filepath.Join(h.dir, "tasks"), Slots: 4, StopGrace: time.Millisecond,
	})
	h.run()
	return h
}

type mark struct{ N int }

func TestInterruptedTaskGoesOnFromItsCheckpoint(t *testing.T) {
	seen := make(chan mark, 10)
	k, running, release, acted := stubborn("k", func(j *job.Context) error {
		var at mark
		if _, err := j.Load(&at); err != nil {
			return err
		}
		seen <- at
		return j.Checkpoint(mark{at.N + 1})
	}, func(j *job.Context) error { return j.Checkpoint(mark{1000}) })
	h := newStubbornHouse(t, k)
	id := h.submit(task.Spec{Kind: "k"}).ID
	<-running
	h.abandon()
	if n := <-running; n != 2 {
		t.Errorf("attempt %d follows the first", n)
	}
	if a, b := <-seen, <-seen; a.N != 0 || b.N != 1 {
		t.Errorf("attempts began at %v and %v, want 0 and 1", a, b)
	}
	close(release)
	// The first attempt is stale: its checkpoint must not reach the task.
	var fenced int
	for range 2 {
		if errors.Is(<-acted, job.ErrFenced) {
			fenced++
		}
	}
	end := h.wait(id)
	if fenced != 1 || end.Attempt != 2 || end.Status != task.StatusCompleted {
		t.Errorf("%d attempts were fenced off; ended %s at attempt %d", fenced, end.Status, end.Attempt)
	}
	if len(end.Attempts) != 2 || end.Attempts[0].Outcome != task.OutcomeInterrupted {
		t.Errorf("history %+v", end.Attempts)
	}
}

func TestGracefulStopLetsTheTaskGoOn(t *testing.T) {
	k, running, _ := hold("k")
	h := newHouse(t, k).up()
	id := h.submit(task.Spec{Kind: "k"}).ID
	for n := range task.CrashLoopLimit + 2 { // a deliberate stop is no sign of a crash loop
		<-running
		if got := h.get(id); got.Attempt != n+1 || got.Status != task.StatusRunning {
			t.Fatalf("round %d: %s, attempt %d", n, got.Status, got.Attempt)
		}
		h.down()
		h.up()
	}
}

func TestThreeCrashesInARowPause(t *testing.T) {
	k, running, release, _ := stubborn("k", nil, nil)
	defer close(release)
	h := newStubbornHouse(t, k)
	id := h.submit(task.Spec{Kind: "k"}).ID
	for range task.CrashLoopLimit {
		<-running
		h.abandon()
	}
	got := h.get(id)
	if got.Status != task.StatusPending || got.Phase != task.PhasePaused || got.Reason != task.ReasonCrashLoop {
		t.Fatalf("after %d crashes: %s (%s) %q", task.CrashLoopLimit, got.Status, got.Phase, got.Reason)
	}
	if _, err := h.Resume(t.Context(), id.Ref(), ""); err != nil {
		t.Fatal(err)
	}
	if n := <-running; n != task.CrashLoopLimit+1 {
		t.Errorf("resumed with attempt %d", n)
	}
}

func TestACheckpointInBetweenIsNoCrashLoop(t *testing.T) {
	k, running, release, _ := stubborn("k", func(j *job.Context) error { return j.Checkpoint(mark{j.Attempt()}) }, nil)
	defer close(release)
	h := newStubbornHouse(t, k)
	h.submit(task.Spec{Kind: "k"})
	for n := range task.CrashLoopLimit + 2 {
		if got := <-running; got != n+1 {
			t.Fatalf("attempt %d, want %d", got, n+1)
		}
		h.abandon()
	}
	<-running
}

func TestRestartNeverFailsTheTask(t *testing.T) {
	k, running, release, _ := stubborn("k", nil, nil)
	defer close(release)
	h := newStubbornHouse(t, k)
	id := h.submit(task.Spec{Kind: "k", Restart: task.RestartNever}).ID
	<-running
	h.abandon()
	got := h.get(id)
	if got.Status != task.StatusFailed || got.Outcome != task.OutcomeInterrupted || got.Reason != task.ReasonRestartNever || got.Error == nil {
		t.Errorf("%s, %s, %q, %v", got.Status, got.Outcome, got.Reason, got.Error)
	}
}

func TestAcknowledgedCancelSurvivesACrash(t *testing.T) {
	k, running, release, _ := stubborn("k", nil, nil)
	defer close(release)
	h := newStubbornHouse(t, k)
	id := h.submit(task.Spec{Kind: "k"}).ID
	<-running
	if got, err := h.Cancel(t.Context(), id.Ref(), task.CancelRequest{}, ""); err != nil || got.Phase != task.PhaseStopping {
		t.Fatalf("cancel: %s (%s), %v", got.Status, got.Phase, err)
	}
	h.abandon()
	if got := h.get(id); got.Status != task.StatusCancelled || got.CompletedAt == nil {
		t.Errorf("after the crash: %s (%s)", got.Status, got.Phase)
	}
}

func TestUnknownKindIsPausedNotLost(t *testing.T) {
	h := newHouse(t, ok, script{name: "old", run: ok.run})
	h.open()
	h.run()
	if _, err := h.Drain(t.Context(), task.DrainRequest{}); err != nil {
		t.Fatal(err)
	}
	id := h.submit(task.Spec{Kind: "old"}).ID
	h.down()
	h.kinds = h.kinds[:1]
	h.up()
	got := h.awaitState(id, func(t task.Task) bool { return t.Phase == task.PhasePaused })
	if got.Reason != task.ReasonKindUnknown {
		t.Errorf("reason %q", got.Reason)
	}
}

// cleaner is a kind that has something to remove after the end.
type cleaner struct {
	script
	clean func(task.Task) error
}

func (c cleaner) Clean(_ context.Context, t task.Task) error { return c.clean(t) }

func TestCleanComesAfterTheEndAndAgainAfterAFailure(t *testing.T) {
	calls := make(chan task.Status, 10)
	fail := true
	k := cleaner{script: script{name: "k", run: ok.run}, clean: func(t task.Task) error {
		calls <- t.Status
		if fail {
			return errors.New("not now")
		}
		return nil
	}}
	h := newHouse(t, k).up()
	id := h.submit(task.Spec{Kind: "k"}).ID
	if s := <-calls; s != task.StatusCompleted {
		t.Errorf("cleaned a task that is %s", s)
	}
	h.down()
	fail = false
	h.up()
	<-calls
	h.down()
	h.up()
	select {
	case <-calls:
		t.Error("cleaned again after it had succeeded")
	default:
	}
	if err := h.Forget(t.Context(), id.Ref()); err != nil {
		t.Error(err)
	}
}

func TestATaskThatCannotBeCleanedUpCanBeForgotten(t *testing.T) {
	calls := make(chan task.Status, 10)
	k := cleaner{script: script{name: "k", run: ok.run}, clean: func(t task.Task) error {
		calls <- t.Status
		return errors.New("never")
	}}
	h := newHouse(t, k).up()
	id := h.submit(task.Spec{Kind: "k"}).ID
	<-calls
	if err := h.Forget(t.Context(), id.Ref()); err != nil {
		t.Fatal(err)
	}
	if len(calls) != 1 {
		t.Errorf("%d more tries at the end, want 1", len(calls))
	}
	_, err := h.Get(t.Context(), id.Ref())
	wantCode(t, err, task.NotFound)
}
