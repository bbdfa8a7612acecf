package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"durable/daemon/job"
	"durable/ipc/task"
)

func TestSubmitRunsToItsEnd(t *testing.T) {
	h := newHouse(t, ok).up()
	h.opened()
	got := h.submit(task.Spec{Kind: "ok"})
	if got.Status != task.StatusRunning || got.Attempt != 1 || got.Number != 1 || got.ID == "" || got.RootID != got.ID {
		t.Errorf("submit answered %+v", got)
	}
	end := h.wait(got.ID)
	if end.Status != task.StatusCompleted || end.Outcome != task.OutcomeSucceeded || string(end.Result) != `{"done":true}` {
		t.Errorf("ended %s %s with %s", end.Status, end.Outcome, end.Result)
	}
	if end.CompletedAt == nil || end.StartedAt == nil || end.Attempt != 1 || len(end.Attempts) != 1 {
		t.Errorf("ending lacks its marks: %+v", end)
	}
	if s, err := h.Stats(t.Context()); err != nil || s.Counts[task.StatusCompleted] != 1 || s.Total != 1 {
		t.Errorf("stats %+v, %v", s, err)
	}
}

func TestKindByAlias(t *testing.T) {
	h := newHouse(t, ok).up()
	if got := h.submit(task.Spec{Kind: "ok-alias"}); got.Kind != "ok" {
		t.Errorf("kind %q, want the kind's own name", got.Kind)
	}
	_, err := h.Submit(t.Context(), task.Spec{Kind: "nope"}, "")
	wantCode(t, err, task.InvalidArgument)
	if hint := task.AsError(err).Hint; !strings.Contains(hint, "ok") {
		t.Errorf("hint %q does not name the kinds", hint)
	}
}

func TestOutcomes(t *testing.T) {
	boom := errors.New("boom")
	tests := []struct {
		name    string
		run     func(context.Context, *job.Context) (any, error)
		timeout task.Duration
		outcome task.Outcome
		message string
	}{
		{"error", func(context.Context, *job.Context) (any, error) { return nil, boom }, 0, task.OutcomeFailed, "boom"},
		{"panic", func(context.Context, *job.Context) (any, error) { panic("ouch") }, 0, task.OutcomeFailed, "the job panicked: ouch"},
		{"timeout", func(ctx context.Context, _ *job.Context) (any, error) { <-ctx.Done(); return nil, context.Cause(ctx) },
			task.Duration(20 * time.Millisecond), task.OutcomeTimedOut, "timed out"},
		{"result that is no JSON", func(context.Context, *job.Context) (any, error) { return make(chan int), nil }, 0, task.OutcomeFailed, "encode result"},
		{"result too large", func(context.Context, *job.Context) (any, error) { return strings.Repeat("x", 1<<20), nil }, 0, task.OutcomeFailed, "the limit is"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, script{name: "k", run: tt.run}).up()
			end := h.wait(h.submit(task.Spec{Kind: "k", Timeout: tt.timeout}).ID)
			if end.Status != task.StatusFailed || end.Outcome != tt.outcome || end.Error == nil || !strings.Contains(end.Error.Message, tt.message) {
				t.Errorf("ended %s, %s, error %v; want failed, %s, %q", end.Status, end.Outcome, end.Error, tt.outcome, tt.message)
			}
			if end.Result != nil {
				t.Errorf("a failed task has the result %s", end.Result)
			}
		})
	}
}

func TestPanicLeavesItsStackInTheLog(t *testing.T) {
	h := newHouse(t, script{name: "k", run: func(context.Context, *job.Context) (any, error) { panic("ouch") }}).up()
	end := h.wait(h.submit(task.Spec{Kind: "k"}).ID)
	l, err := h.Log(t.Context(), end.ID.Ref(), task.LogQuery{})
	if err != nil {
		t.Fatal(err)
	}
	if text := readAll(t, l); !strings.Contains(text, "panic: ouch") || !strings.Contains(text, "run_test.go") {
		t.Errorf("log lacks the panic or where it was:\n%s", text)
	}
}

func TestRetriesWithBackoffUntilThePolicyIsUsedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var times []time.Time
		h := newHouse(t, script{name: "k", run: func(context.Context, *job.Context) (any, error) {
			times = append(times, time.Now())
			return nil, fmt.Errorf("no luck %d", len(times))
		}}).up()
		defer h.down()
		end := h.wait(h.submit(task.Spec{Kind: "k", Retry: &task.Retry{MaxAttempts: 3, Backoff: task.Duration(10 * time.Second)}}).ID)
		if end.Status != task.StatusFailed || end.Attempt != 3 || end.Error.Message != "no luck 3" {
			t.Fatalf("ended %s after attempt %d with %v", end.Status, end.Attempt, end.Error)
		}
		for i, want := range []time.Duration{10 * time.Second, 20 * time.Second} {
			if got := times[i+1].Sub(times[i]); got < want*8/10 || got > want*12/10+time.Second {
				t.Errorf("wait %d was %s, want about %s", i+1, got, want)
			}
		}
		if len(end.Attempts) != 3 || end.Attempts[0].Error != "no luck 1" {
			t.Errorf("history %+v", end.Attempts)
		}
	})
}

func TestPermanentErrorIsNotRetried(t *testing.T) {
	var n atomic.Int32
	h := newHouse(t, script{name: "k", run: func(context.Context, *job.Context) (any, error) {
		n.Add(1)
		return nil, job.Permanent(errors.New("bad input"))
	}}).up()
	end := h.wait(h.submit(task.Spec{Kind: "k", Retry: &task.Retry{MaxAttempts: 5}}).ID)
	if end.Status != task.StatusFailed || n.Load() != 1 {
		t.Errorf("%s after %d attempts", end.Status, n.Load())
	}
}

func TestSlotsBoundWhatRuns(t *testing.T) {
	k, running, release := hold("k")
	h := newHouse(t, k)
	h.slots = 2
	h.up()
	for range 5 {
		h.submit(task.Spec{Kind: "k"})
	}
	<-running
	<-running
	s, err := h.Stats(t.Context())
	if err != nil || s.Active != 2 || s.Counts[task.StatusRunning] != 2 || s.Queued != 3 {
		t.Errorf("with two slots: %+v, %v", s, err)
	}
	close(release)
	for range 3 {
		<-running
	}
}

func TestPriorityThenOrderOfSubmit(t *testing.T) {
	k, running, release := hold("k")
	h := newHouse(t, k)
	h.slots = 1
	h.up()
	first := h.submit(task.Spec{Kind: "k"})
	<-running
	low := h.submit(task.Spec{Kind: "k", Priority: -5})
	a, b := h.submit(task.Spec{Kind: "k"}), h.submit(task.Spec{Kind: "k"})
	high := h.submit(task.Spec{Kind: "k", Priority: 7})
	close(release)
	for i, want := range []task.Task{high, a, b, low} {
		if got := <-running; got != want.ID {
			t.Errorf("place %d after %d: got %s, want task %d", i, first.Number, got, want.Number)
		}
	}
}

func TestDrainHoldsTheQueueBack(t *testing.T) {
	h := newHouse(t, ok).up()
	if info, err := h.Drain(t.Context(), task.DrainRequest{}); err != nil || !info.Draining {
		t.Fatalf("drain: %+v, %v", info, err)
	}
	held := h.submit(task.Spec{Kind: "ok"})
	if got, err := h.Wait(t.Context(), held.ID.Ref(), 50*time.Millisecond); err != nil || got.Phase != task.PhaseQueued {
		t.Errorf("while draining: %s (%s), %v", got.Status, got.Phase, err)
	}
	if _, err := h.Drain(t.Context(), task.DrainRequest{Resume: true}); err != nil {
		t.Fatal(err)
	}
	h.wait(held.ID)
}

func TestUnsupportedIsSaidNotIgnored(t *testing.T) {
	tidy := cleaner{script{name: "tidy", run: ok.run}, func(task.Task) error { return nil }}
	h := newHouse(t, ok, tidy).up()
	later := time.Now().Add(time.Hour)
	for _, spec := range []task.Spec{
		{Kind: "ok", Queue: "gpu"}, {Kind: "ok", RunAt: &later}, {Kind: "ok", DependsOn: []task.ID{"x"}},
		{Kind: "ok", ParentID: "x"}, {Kind: "ok", ExpiresAt: &later},
	} {
		_, err := h.Submit(t.Context(), spec, "")
		wantCode(t, err, task.Unimplemented)
	}
	_, err := h.Submit(t.Context(), task.Spec{Kind: "tidy", Restart: task.RestartAlways}, "")
	wantCode(t, err, task.InvalidArgument) // its positions are for one success
	_, err = h.Reload(t.Context())
	wantCode(t, err, task.Unimplemented)
}

func TestOnlyItsOwnUserMayUseADaemon(t *testing.T) {
	h := newHouse(t, ok).up()
	stranger := task.WithCaller(t.Context(), task.Caller{UID: 54321})
	_, err := h.Submit(stranger, task.Spec{Kind: "ok"}, "")
	wantCode(t, err, task.PermissionDenied)
	_, err = h.List(stranger, task.ListQuery{})
	wantCode(t, err, task.PermissionDenied)
	wantCode(t, h.Shutdown(stranger, task.ShutdownRequest{}), task.PermissionDenied)
}
