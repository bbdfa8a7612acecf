package engine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"durable/daemon/job"
	"durable/ipc/task"
)

func TestIdempotencyKey(t *testing.T) {
	var prepared int
	h := newHouse(t, script{name: "k", run: ok.run, prepare: func(s task.Spec) (job.Plan, error) {
		if prepared++; prepared > 1 {
			return job.Plan{}, errors.New("the destination exists") // the first run has made it
		}
		return job.Plan{Params: s.Params}, nil
	}}).up()
	ctx := t.Context()
	spec := task.Spec{Kind: "k", Title: "one"}
	first, err := h.Submit(ctx, spec, "key")
	if err != nil {
		t.Fatal(err)
	}
	h.wait(first.ID)
	again, err := h.Submit(ctx, spec, "key")
	if err != nil || again.ID != first.ID || again.Status != task.StatusCompleted {
		t.Errorf("repetition: %s %s, %v; want the same task as it is now", again.ID, again.Status, err)
	}
	spec.Title = "two"
	_, err = h.Submit(ctx, spec, "key")
	wantCode(t, err, task.Conflict)
	if err := h.Forget(ctx, first.ID.Ref()); err != nil {
		t.Fatal(err)
	}
	spec.Title = "one"
	_, err = h.Submit(ctx, spec, "key")
	wantCode(t, err, task.FailedPrecondition)
}

func TestKeysAreScopedByUser(t *testing.T) {
	h := newHouse(t, ok).up()
	root := task.WithCaller(t.Context(), task.Caller{UID: -1})
	a, err := h.Submit(t.Context(), task.Spec{Kind: "ok"}, "key")
	if err != nil {
		t.Fatal(err)
	}
	b, err := h.Submit(root, task.Spec{Kind: "ok"}, "key")
	if err != nil || a.ID == b.ID {
		t.Errorf("two users share the key of one: %v", err)
	}
}

func TestCancel(t *testing.T) {
	k, running, release := hold("k")
	h := newHouse(t, k)
	h.slots = 1
	h.up()
	ctx := t.Context()
	a, b := h.submit(task.Spec{Kind: "k"}), h.submit(task.Spec{Kind: "k"})
	<-running

	got, err := h.Cancel(ctx, b.ID.Ref(), task.CancelRequest{Reason: "not needed"}, "c1")
	if err != nil || got.Status != task.StatusCancelled || got.Reason != "not needed" || got.CompletedAt == nil {
		t.Errorf("cancel of a queued task: %+v, %v", got, err)
	}
	if got, err := h.Cancel(ctx, b.ID.Ref(), task.CancelRequest{Reason: "not needed"}, "c1"); err != nil || got.Status != task.StatusCancelled {
		t.Errorf("the same again: %s, %v", got.Status, err)
	}
	if got, err = h.Cancel(ctx, a.ID.Ref(), task.CancelRequest{}, ""); err != nil || got.CancelRequestedAt == nil {
		t.Errorf("cancel of a running task: %+v, %v", got, err)
	}
	if end := h.wait(a.ID); end.Status != task.StatusCancelled || end.Outcome != task.OutcomeCancelled {
		t.Errorf("ended %s, %s", end.Status, end.Outcome)
	}
	close(release)
	c := h.submit(task.Spec{Kind: "k"})
	h.wait(c.ID)
	_, err = h.Cancel(ctx, c.ID.Ref(), task.CancelRequest{}, "")
	wantCode(t, err, task.FailedPrecondition)
	_, err = h.Cancel(ctx, "4711", task.CancelRequest{}, "")
	wantCode(t, err, task.NotFound)
}

func TestCancelDecidesAlsoAgainstSuccess(t *testing.T) {
	running, release := make(chan struct{}), make(chan struct{})
	h := newHouse(t, script{name: "k", run: func(context.Context, *job.Context) (any, error) {
		close(running)
		<-release // deaf to the cancel
		return "done", nil
	}}).up()
	id := h.submit(task.Spec{Kind: "k"}).ID
	<-running
	if _, err := h.Cancel(t.Context(), id.Ref(), task.CancelRequest{}, ""); err != nil {
		t.Fatal(err)
	}
	close(release)
	if end := h.wait(id); end.Status != task.StatusCancelled || end.Outcome != task.OutcomeSucceeded || end.Result != nil {
		t.Errorf("ended %s, outcome %s, result %s; want cancelled with the true outcome", end.Status, end.Outcome, end.Result)
	}
}

func TestPauseAndResume(t *testing.T) {
	k, running, release := hold("k")
	defer close(release)
	h := newHouse(t, k)
	h.slots = 1
	h.up()
	ctx := t.Context()
	a, b := h.submit(task.Spec{Kind: "k"}), h.submit(task.Spec{Kind: "k"})
	<-running
	_, err := h.Pause(ctx, a.ID.Ref(), "")
	wantCode(t, err, task.Unimplemented)
	if got, err := h.Pause(ctx, b.ID.Ref(), ""); err != nil || got.Phase != task.PhasePaused {
		t.Errorf("pause: %s, %v", got.Phase, err)
	}
	if _, err := h.Cancel(ctx, a.ID.Ref(), task.CancelRequest{}, ""); err != nil {
		t.Fatal(err)
	}
	h.wait(a.ID)
	if got := h.get(b.ID); got.Phase != task.PhasePaused {
		t.Errorf("a paused task went on: %s", got.Phase)
	}
	if _, err := h.Resume(ctx, b.ID.Ref(), ""); err != nil {
		t.Fatal(err)
	}
	if got := <-running; got != b.ID {
		t.Errorf("runs %s", got)
	}
}

func TestRetryIsANewTaskFromACopyOfTheCheckpoint(t *testing.T) {
	h := newHouse(t, script{name: "k", run: func(_ context.Context, j *job.Context) (any, error) {
		var at mark
		if _, err := j.Load(&at); err != nil {
			return nil, err
		}
		if at.N == 2 {
			return at, nil
		}
		if err := j.Checkpoint(mark{at.N + 1}); err != nil {
			return nil, err
		}
		return nil, errors.New("again")
	}}).up()
	ctx := t.Context()
	first := h.wait(h.submit(task.Spec{Kind: "k", Title: "t", Labels: map[string]string{"a": "b"}}).ID)
	second, err := h.Retry(ctx, first.ID.Ref(), task.RetryRequest{}, "r")
	if err != nil {
		t.Fatal(err)
	}
	if second.ID == first.ID || second.RetryOf != first.ID || second.RootID != first.RootID || second.Title != "t" || second.Labels["a"] != "b" {
		t.Errorf("retry made %+v", second)
	}
	if again, err := h.Retry(ctx, first.ID.Ref(), task.RetryRequest{}, "r"); err != nil || again.ID != second.ID {
		t.Errorf("the same retry again made %s, %v", again.ID, err)
	}
	h.wait(second.ID)
	if got := h.get(first.ID); got.RetriedBy != second.ID || got.Status != task.StatusFailed {
		t.Errorf("the first is %s, retried by %s", got.Status, got.RetriedBy)
	}
	third, err := h.Retry(ctx, second.ID.Ref(), task.RetryRequest{}, "")
	if err != nil {
		t.Fatal(err)
	}
	if end := h.wait(third.ID); string(end.Result) != `{"N":2}` {
		t.Errorf("third ended %s with %s", end.Status, end.Result)
	}
	fresh, err := h.Retry(ctx, third.ID.Ref(), task.RetryRequest{}, "") // completed: begins anew
	if err != nil || fresh.RootID != fresh.ID {
		t.Fatalf("retry of a completed task: %+v, %v", fresh, err)
	}
	if end := h.wait(fresh.ID); end.Status != task.StatusFailed {
		t.Errorf("a fresh one ended %s", end.Status)
	}
}

func TestOneRetryAtATime(t *testing.T) {
	attempts, release := make(chan struct{}, 10), make(chan struct{})
	h := newHouse(t, script{name: "k", run: func(_ context.Context, j *job.Context) (any, error) {
		attempts <- struct{}{}
		if j.RootID() != j.ID() {
			<-release
		}
		return nil, errors.New("no")
	}}).up()
	first := h.wait(h.submit(task.Spec{Kind: "k"}).ID)
	second, err := h.Retry(t.Context(), first.ID.Ref(), task.RetryRequest{}, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Retry(t.Context(), first.ID.Ref(), task.RetryRequest{}, "")
	wantCode(t, err, task.FailedPrecondition)
	_, err = h.Retry(t.Context(), second.ID.Ref(), task.RetryRequest{}, "")
	wantCode(t, err, task.FailedPrecondition)
	close(release)
	h.wait(second.ID)
	if _, err = h.Retry(t.Context(), first.ID.Ref(), task.RetryRequest{}, ""); err != nil {
		t.Errorf("after the end of the other: %v", err)
	}
}

// TestRetryOfACompletedTaskIsRefusedWithAHintThatARetryCanFollow: it has no parameters to change.
func TestRetryOfACompletedTaskIsRefusedWithAHintThatARetryCanFollow(t *testing.T) {
	var prepared int
	h := newHouse(t, script{name: "k", run: ok.run, prepare: func(s task.Spec) (job.Plan, error) {
		if prepared++; prepared > 1 {
			return job.Plan{}, task.Errorf(task.FailedPrecondition, "it is there").WithHint("mode=replace")
		}
		return job.Plan{Params: s.Params}, nil
	}}).up()
	first := h.wait(h.submit(task.Spec{Kind: "k"}).ID)
	_, err := h.Retry(t.Context(), first.ID.Ref(), task.RetryRequest{}, "")
	wantCode(t, err, task.FailedPrecondition)
	if e := task.AsError(err); e.Message != "it is there" || !strings.Contains(e.Hint, "the parameters of task 1") {
		t.Errorf("got %q, hint %q", e.Message, e.Hint)
	}
}

func TestForgetRemovesAllOfATask(t *testing.T) {
	k, running, release := hold("k")
	logs := script{name: "logs", run: func(_ context.Context, j *job.Context) (any, error) {
		j.Logf("hello")
		return nil, nil
	}}
	h := newHouse(t, k, logs).up()
	ctx := t.Context()
	a := h.submit(task.Spec{Kind: "k"})
	<-running
	wantCode(t, h.Forget(ctx, a.ID.Ref()), task.FailedPrecondition)
	close(release)
	b := h.wait(h.submit(task.Spec{Kind: "logs"}).ID)
	dir := filepath.Join(h.dir, "tasks", string(b.ID))
	if _, err := os.Stat(dir); err != nil {
		t.Fatal(err)
	}
	if err := h.Forget(ctx, b.ID.Ref()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("its folder: %v", err)
	}
	_, err := h.Get(ctx, b.ID.Ref())
	wantCode(t, err, task.NotFound)
	wantCode(t, h.Forget(ctx, b.ID.Ref()), task.NotFound)
}

func TestWaitAnswersAtTheTimeoutWithoutAnError(t *testing.T) {
	k, running, release := hold("k")
	defer close(release)
	h := newHouse(t, k).up()
	id := h.submit(task.Spec{Kind: "k"}).ID
	<-running
	for _, d := range []time.Duration{-1, 0, 10 * time.Millisecond} {
		if got, err := h.Wait(t.Context(), id.Ref(), d); err != nil || got.Status != task.StatusRunning {
			t.Errorf("wait %s: %s, %v", d, got.Status, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := h.Wait(ctx, id.Ref(), time.Minute)
	wantCode(t, err, task.Unavailable)
}
