package engine_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"durable/daemon/job"
	"durable/ipc/task"
)

// service returns a kind whose n-th attempt, from 1, ends as run says after the time that run takes.
func service(began *[]time.Time, run func(n int, j *job.Context) error) script {
	return script{name: "service", run: func(_ context.Context, j *job.Context) (any, error) {
		*began = append(*began, time.Now())
		return map[string]int{"n": j.Attempt()}, run(j.Attempt(), j)
	}}
}

// about tells whether a wait is d, give or take the jitter.
func about(got, d time.Duration) bool { return got >= d*8/10 && got <= d*12/10+time.Second }

func TestRestartAlwaysComesBackAfterASuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var began []time.Time
		loaded := map[int]bool{}
		h := newHouse(t, service(&began, func(n int, j *job.Context) error {
			var at mark
			loaded[n], _ = j.Load(&at)
			j.Progress(task.Progress{Done: 9, Total: task.Total(9)})
			if n == 4 {
				time.Sleep(10 * time.Minute)
			}
			return j.Checkpoint(mark{n})
		})).up()
		defer h.down()
		id := h.submit(task.Spec{Kind: "service", Restart: task.RestartAlways}).ID
		got := h.awaitState(id, func(t task.Task) bool { return t.Phase == task.PhaseRetryWait })
		if got.Outcome != task.OutcomeSucceeded || got.LastError != nil || got.Result != nil || got.NextAttemptAt == nil ||
			got.Progress.Done != 0 || got.Checkpoint != nil || got.CompletedAt != nil {
			t.Errorf("between two attempts: %+v", got)
		}
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if len(began) < 6 {
			t.Fatalf("%d attempts in half an hour", len(began))
		}
		for i, want := range []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, 10*time.Minute + 10*time.Second, 20 * time.Second} {
			if got := began[i+1].Sub(began[i]); i != 3 && !about(got, want) || i == 3 && !about(got-10*time.Minute, 10*time.Second) {
				t.Errorf("attempt %d came %s after the one before, want %s", i+2, got, want)
			}
		}
		for n, there := range loaded {
			if there {
				t.Errorf("attempt %d goes on from what has completed", n)
			}
		}
		if end, err := h.Cancel(t.Context(), id.Ref(), task.CancelRequest{}, ""); err != nil || end.Status != task.StatusCancelled {
			t.Errorf("cancel: %s, %v", end.Status, err)
		}
	})
}

func TestRestartOnFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var began []time.Time
		boom := errors.New("boom")
		h := newHouse(t, service(&began, func(n int, j *job.Context) error {
			switch n {
			case 1:
				return boom
			case 2:
				return job.Ended(task.OutcomeSignaled, boom)
			case 3:
				time.Sleep(time.Hour)
				return boom
			}
			return nil
		})).up()
		defer h.down()
		id := h.submit(task.Spec{Kind: "service", Restart: task.RestartOnFailure, Retry: &task.Retry{Backoff: task.Duration(time.Minute)}}).ID
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		end := h.wait(id)
		wantEnd(t, end, task.StatusCompleted, task.OutcomeSucceeded, 4)
		for i, want := range []time.Duration{time.Minute, 2 * time.Minute, time.Minute} {
			got := began[i+1].Sub(began[i])
			if i == 2 {
				got -= time.Hour
			}
			if !about(got, want) {
				t.Errorf("attempt %d came %s after the end of the one before, want %s", i+2, got, want)
			}
		}
	})
}

func TestRestartOfAPermanentErrorOrALostEnd(t *testing.T) {
	for _, tt := range []struct {
		restart task.Restart
		err     error
		again   bool
	}{
		{task.RestartAlways, job.Permanent(errors.New("no such program")), false},
		{task.RestartOnFailure, job.Permanent(errors.New("no such program")), false},
		{task.RestartOnFailure, job.Ended(task.OutcomeLost, errors.New("gone")), false},
		{task.RestartAlways, job.Ended(task.OutcomeLost, errors.New("gone")), true},
		{task.RestartNever, errors.New("boom"), false},
	} {
		var began []time.Time
		h := newHouse(t, service(&began, func(int, *job.Context) error { return tt.err })).up()
		id := h.submit(task.Spec{Kind: "service", Restart: tt.restart}).ID
		got := h.awaitState(id, func(t task.Task) bool { return t.Outcome != task.OutcomeNone })
		if again := got.Phase == task.PhaseRetryWait; again != tt.again || !again && got.Status != task.StatusFailed {
			t.Errorf("restart=%s, %v: %s (%s)", tt.restart, tt.err, got.Status, got.Phase)
		}
		h.down()
	}
}
