package engine

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"durable/daemon/job"
	"durable/daemon/store"
	"durable/ipc/task"
)

func TestJudge(t *testing.T) {
	boom := errors.New("boom")
	under := func(t *testing.T, cause error) context.Context {
		ctx, cancel := context.WithCancelCause(context.Background())
		t.Cleanup(func() { cancel(nil) })
		if cause != nil {
			cancel(cause)
		}
		return ctx
	}
	signaled, lost := job.Ended(task.OutcomeSignaled, boom), job.Ended(task.OutcomeLost, boom)
	down := job.Ended(task.OutcomeInterrupted, boom)
	tests := []struct {
		name      string
		cause     error
		err       error
		want      task.Outcome
		permanent bool
	}{
		{"signaled", nil, signaled, task.OutcomeSignaled, false},
		{"lost for good", nil, job.Permanent(lost), task.OutcomeLost, true},
		{"another boot", nil, down, task.OutcomeInterrupted, false},
		{"another boot, and overdue", job.ErrTimeout, down, task.OutcomeInterrupted, false},
		{"another boot, and cancelled", job.ErrCancelled, down, task.OutcomeCancelled, false},
		{"signaled by our cancel", job.ErrCancelled, signaled, task.OutcomeCancelled, false},
		{"signaled by our timeout", job.ErrTimeout, signaled, task.OutcomeTimedOut, false},
		{"an outcome that Run cannot have seen", nil, job.Ended(task.OutcomeTimedOut, boom), task.OutcomeFailed, false},
		{"a panic of what watches", nil, job.Ended(task.OutcomeLost, task.Errorf(task.Internal, "x")), task.OutcomeLost, false},
		{"success", nil, nil, task.OutcomeSucceeded, false},
		{"success although told to stop", job.ErrStop, nil, task.OutcomeSucceeded, false},
		{"success although cancelled", job.ErrCancelled, nil, task.OutcomeSucceeded, false},
		{"error", nil, boom, task.OutcomeFailed, false},
		{"permanent error", nil, job.Permanent(boom), task.OutcomeFailed, true},
		{"bad input", nil, task.Errorf(task.InvalidArgument, "no"), task.OutcomeFailed, true},
		{"stopped", job.ErrStop, context.Canceled, task.OutcomeInterrupted, false},
		{"cancelled", job.ErrCancelled, boom, task.OutcomeCancelled, false},
		{"timed out", job.ErrTimeout, context.DeadlineExceeded, task.OutcomeTimedOut, false},
		{"panic while told to stop", job.ErrStop, task.Errorf(task.Internal, "the job panicked: x"), task.OutcomeFailed, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := judge(under(t, tt.cause), false, nil, tt.err)
			if got.outcome != tt.want || got.permanent != tt.permanent {
				t.Errorf("got %s, permanent %v; want %s, %v", got.outcome, got.permanent, tt.want, tt.permanent)
			}
			if (got.err == nil) != (tt.want == task.OutcomeSucceeded) {
				t.Errorf("error %v with outcome %s", got.err, got.outcome)
			}
		})
	}
}

// TestJudgeOfASurvivor: the daemon's leave changes nothing of what has become of its program.
func TestJudgeOfASurvivor(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(job.ErrStop)
	boom := errors.New("exit status 7")
	for _, tt := range []struct {
		err      error
		survives bool
		want     task.Outcome
		clean    bool
	}{
		{boom, true, task.OutcomeFailed, true},
		{boom, false, task.OutcomeInterrupted, true},
		{job.Ended(task.OutcomeSignaled, boom), true, task.OutcomeSignaled, true},
		{job.ErrStop, true, task.OutcomeInterrupted, true}, // nothing was begun yet
		{context.Canceled, true, task.OutcomeInterrupted, true},
		{job.Ended(task.OutcomeInterrupted, boom), true, task.OutcomeInterrupted, false},
	} {
		if got := judge(ctx, tt.survives, nil, tt.err); got.outcome != tt.want || got.clean != tt.clean {
			t.Errorf("%v, survives %v: %s, clean %v", tt.err, tt.survives, got.outcome, got.clean)
		}
	}
}

func TestRetryDelayDoublesUpToItsLimit(t *testing.T) {
	r := &task.Retry{Backoff: task.Duration(time.Second), MaxBackoff: task.Duration(10 * time.Second)}
	for failures, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 10: 10 * time.Second, 100000: 10 * time.Second} {
		for range 20 {
			if got := retryDelay(r, failures); got < want*8/10 || got > min(want*12/10, 10*time.Second) {
				t.Errorf("after %d failures: %s, want about %s", failures, got, want)
			}
		}
	}
	if got := retryDelay(nil, 2); got < 16*time.Second || got > 24*time.Second {
		t.Errorf("without a policy, after 2 failures: %s", got)
	}
	if got := retryDelay(&task.Retry{}, 1); got < 8*time.Second || got > 12*time.Second {
		t.Errorf("default: %s", got)
	}
	if got := retryDelay(&task.Retry{Backoff: task.Duration(time.Hour)}, 5); got < 48*time.Minute || got > time.Hour {
		t.Errorf("a backoff above the default limit: %s, want about 1h", got)
	}
}

func TestSpeedometer(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var s speedometer
	var p task.Progress
	for i := range 200 { // 1000 a second, in reports every 100 ms
		p = task.Progress{Done: int64(i * 100), Total: task.Total(100_000)}
		s.complete(&p, at.Add(time.Duration(i)*100*time.Millisecond))
	}
	if math.Abs(p.Rate-1000) > 1 || p.ETA == nil || *p.ETA != task.Duration(80*time.Second) {
		t.Errorf("rate %v, eta %v; want 1000 and 1m20s", p.Rate, p.ETA)
	}
	p = task.Progress{Done: 5, Total: task.Total(100_000)} // back to the beginning
	s.complete(&p, at.Add(time.Minute))
	if p.Rate != 0 || p.ETA != nil {
		t.Errorf("after a step back: %+v", p)
	}
	p = task.Progress{Done: 6, Rate: 42}
	s.complete(&p, at.Add(2*time.Minute))
	if p.Rate != 42 || p.ETA != nil {
		t.Errorf("a job's own rate was overwritten: %+v", p)
	}
}

func TestRetryDelayOfAgesIsNotOver(t *testing.T) {
	for _, r := range []*task.Retry{
		{Backoff: math.MaxInt64}, {Backoff: math.MaxInt64, MaxBackoff: math.MaxInt64}, {Backoff: math.MaxInt64 / 2, MaxBackoff: math.MaxInt64},
	} {
		for failures := 1; failures < 70; failures++ {
			if got := retryDelay(r, failures); got < time.Duration(r.Backoff)*7/10 {
				t.Fatalf("backoff %s, after %d failures: %s", r.Backoff, failures, got)
			}
		}
	}
}

// TestDiskIsMeasuredAgainSoon: a figure that is half a minute old says nothing of a flood, nor of a prune.
func TestDiskIsMeasuredAgainSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := diskMeter{root: t.TempDir()}
		if got := m.measure(0).Tasks; got != 0 {
			t.Fatalf("%d bytes of nothing", got)
		}
		if err := os.WriteFile(filepath.Join(m.root, "stdout"), make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := m.measure(0).Tasks; got != 0 {
			t.Errorf("walked again at once: %d", got)
		}
		if left := time.Until(m.next); left > 5*time.Second { // the walk took no time
			t.Errorf("the next walk is %s away", left)
		}
		m.next = time.Now()
		if got := m.measure(0).Tasks; got < 1<<20 {
			t.Errorf("%d bytes of a MiB", got)
		}
	})
}

// TestServicesAndReboots: what has run for a while before each of three reboots is in no crash loop, if it is a service.
func TestServicesAndReboots(t *testing.T) {
	for restart, want := range map[task.Restart]int{task.RestartAlways: 0, task.RestartOnFailure: 0, task.RestartOnInterrupt: 2} {
		started := now().Add(-restartCalm)
		rec := store.Record{Interruptions: 2, Task: task.Task{Restart: restart, StartedAt: &started, UpdatedAt: now()}}
		if count(&rec, task.OutcomeInterrupted); rec.Interruptions != want {
			t.Errorf("%s: %d interruptions in a row, want %d", restart, rec.Interruptions, want)
		}
	}
}

// TestTimedOutBefore: a Survivor's attempt may have been ended by the timeout of an earlier daemon.
func TestTimedOutBefore(t *testing.T) {
	end := judge(context.Background(), true, nil, job.Ended(task.OutcomeTimedOut, job.ErrTimeout))
	if end.outcome != task.OutcomeTimedOut || end.err.Message != "timed out" || end.err.Hint == "" {
		t.Errorf("%+v", end)
	}
}

// TestSpeedOfAMoment: two reports that follow each other closely, as the first two of an adopted program do, are no rate.
func TestSpeedOfAMoment(t *testing.T) {
	var s speedometer
	begin, total := time.Now(), int64(40)
	at := func(after time.Duration, done int64) task.Progress {
		p := task.Progress{Done: done, Total: &total}
		s.complete(&p, begin.Add(after))
		return p
	}
	at(0, 28)
	if p := at(150*time.Millisecond, 29); p.Rate != 0 || p.ETA != nil {
		t.Errorf("after a moment: %v/s, %v left", p.Rate, p.ETA)
	}
	var p task.Progress
	for i := range int64(4) {
		p = at(650*time.Millisecond+time.Duration(i)*500*time.Millisecond, 30+i)
	}
	if p.Rate < 1.5 || p.Rate > 3.5 || p.ETA == nil {
		t.Errorf("after two seconds: %v/s, %v left", p.Rate, p.ETA)
	}
}
