package engine_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"durable/daemon/job"
	"durable/ipc/task"
)

// newWorldHouse returns a house with a Survivor kind called p.
func newWorldHouse(t *testing.T) (*house, *world) {
	w := newWorld()
	return newHouse(t, survivor{"p", w}), w
}

func TestAProgramOutlivesDaemons(t *testing.T) {
	h, w := newWorldHouse(t)
	h.up()
	id := h.submit(task.Spec{Kind: "p"}).ID
	p := h.watched(w)
	before := h.get(id)
	for range task.CrashLoopLimit + 1 {
		h.down()
		h.up()
		if again := h.watched(w); again != p {
			t.Fatalf("another program is watched: %s, not %s", again.dir, p.dir)
		}
	}
	after := h.get(id)
	if after.Attempt != 1 || !after.StartedAt.Equal(*before.StartedAt) || after.Phase != task.PhaseRunning || len(after.Attempts) != 0 {
		t.Errorf("after the stops: %+v", after)
	}
	w.end(p, nil)
	end := h.wait(id)
	wantEnd(t, end, task.StatusCompleted, task.OutcomeSucceeded, 1)
	if p.starts != 1 || string(end.Result) != `{"exit_code":0}` {
		t.Errorf("%d starts, result %s", p.starts, end.Result)
	}
}

// TestTheLastReportOutlivesTheDaemon: there is no ending that would carry it.
func TestTheLastReportOutlivesTheDaemon(t *testing.T) {
	h, w := newWorldHouse(t)
	h.up()
	id := h.submit(task.Spec{Kind: "p"}).ID
	p := h.watched(w)
	h.down()
	h.open()
	defer h.close()
	if got := h.get(id); got.Progress.Message != p.dir {
		t.Errorf("progress %+v", got.Progress)
	}
}

// TestACrashAnywhere: the program runs once in each attempt, and how it ended is found out.
func TestACrashAnywhere(t *testing.T) {
	for point, attempts := range map[string]int{
		"start.before": 1, "start.committed": 2, "run.before": 2, "program.before": 2, // nothing had begun
		"submit.committed": 2, "submit.begun": 2, // nor here
		"program.started": 1, "program.marked": 1, "run.returned": 1, "finish.before": 1, "finish.committed": 1, "finish.notified": 1,
	} {
		t.Run(point, func(t *testing.T) {
			h, w := newWorldHouse(t)
			g := h.mortal(w, point)
			h.open()
			var id task.ID
			if strings.HasPrefix(point, "start.") { // is claimed by the scheduler
				id = h.submit(task.Spec{Kind: "p"}).ID
				h.run()
			} else {
				h.run()
				h.opened()
				id = h.submitted(task.Spec{Kind: "p"})
			}
			ends := strings.HasPrefix(point, "finish.") || point == "run.returned"
			if ends {
				w.end(h.watched(w), nil)
			}
			h.bury(w, g)
			h.up()
			if !ends {
				w.end(h.watched(w), nil)
			}
			wantEnd(t, h.wait(id), task.StatusCompleted, task.OutcomeSucceeded, attempts)
			for dir, p := range w.programs {
				if p.starts > 1 {
					t.Errorf("%s: %d programs in one attempt", filepath.Base(dir), p.starts)
				}
			}
		})
	}
}

func TestPhasesOfASurvivor(t *testing.T) {
	h, w := newWorldHouse(t)
	reports := make(chan struct{})
	h.kinds = append(h.kinds, early{survivor{"early", w}, reports})
	h.up()
	s, err := h.Events(t.Context(), task.EventQuery{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id := h.submit(task.Spec{Kind: "early"}).ID
	var seen []string
	next := func(typ task.EventType) {
		t.Helper()
		for {
			ev, err := s.Next()
			if err != nil {
				t.Fatal(err)
			}
			if ev.Type == typ {
				seen = append(seen, fmt.Sprintf("%s %s", typ, ev.Task.Phase))
				return
			}
		}
	}
	next(task.EventStarted)
	next(task.EventProgress)
	close(reports)
	next(task.EventStatus)
	p := h.watched(w)
	next(task.EventProgress)
	close(p.orphan)
	next(task.EventStatus)
	if _, err := h.Cancel(t.Context(), id.Ref(), task.CancelRequest{}, ""); err != nil {
		t.Fatal(err)
	}
	next(task.EventStatus)
	want := "started starting, progress starting, status running, progress running, status orphaned, status stopping"
	if got := strings.Join(seen, ", "); got != want {
		t.Errorf("events\n%s; want\n%s", got, want)
	}
}

func TestAPhaseIsSaidOnce(t *testing.T) {
	h, w := newWorldHouse(t)
	marks := make(chan error, 10)
	h.kinds = append(h.kinds, marker{survivor{"m", w}, marks})
	h.up()
	id := h.submit(task.Spec{Kind: "m"}).ID
	h.wait(id)
	for range 3 {
		if err := <-marks; err != nil {
			t.Errorf("Started said again: %v", err)
		}
	}
	list, err := h.Events(t.Context(), task.EventQuery{After: task.CursorStart, Task: id.Ref()})
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	running := 0
	for ev, err := list.Next(); err == nil; ev, err = list.Next() {
		if ev.Type == task.EventStatus && ev.Task.Phase == task.PhaseRunning {
			running++
		}
	}
	if running != 1 {
		t.Errorf("%d events for one change of phase", running)
	}
}

func TestCancelOfASurvivor(t *testing.T) {
	cancel := func(h *house, id task.ID) {
		h.t.Helper()
		if got, err := h.Cancel(h.t.Context(), id.Ref(), task.CancelRequest{Reason: "enough"}, ""); err != nil || got.Phase != task.PhaseStopping {
			h.t.Fatalf("cancel: %s, %v", got.Phase, err)
		}
	}
	begin := func(t *testing.T) (*house, *world, task.ID, *program) {
		h, w := newWorldHouse(t)
		h.up()
		id := h.submit(task.Spec{Kind: "p"}).ID
		return h, w, id, h.watched(w)
	}
	check := func(t *testing.T, h *house, id task.ID, p *program) {
		t.Helper()
		end := h.wait(id)
		wantEnd(t, end, task.StatusCancelled, task.OutcomeCancelled, 1)
		if !errors.Is(p.killed, job.ErrCancelled) || end.Reason != "enough" {
			t.Errorf("the program was ended by %v, reason %q", p.killed, end.Reason)
		}
	}
	t.Run("by the daemon that began it", func(t *testing.T) {
		h, _, id, p := begin(t)
		cancel(h, id)
		check(t, h, id, p)
	})
	t.Run("by the next one", func(t *testing.T) {
		h, w, id, p := begin(t)
		h.down()
		h.up()
		h.watched(w)
		cancel(h, id)
		check(t, h, id, p)
	})
	t.Run("between recovery and adoption", func(t *testing.T) {
		h, w, id, p := begin(t)
		h.down()
		h.open()
		if err := h.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		if info, err := h.Info(t.Context()); err != nil || info.Active != 1 {
			t.Errorf("active %d, %v: want the one that is adopted", info.Active, err)
		}
		cancel(h, id)
		h.resume()
		check(t, h, id, p)
		if len(w.looked) > 1 {
			t.Error("watched twice")
		}
	})
	t.Run("before the daemon died", func(t *testing.T) {
		h, w, id, p := begin(t)
		h.down()
		g := h.mortal(w, "cancel.committed")
		h.up()
		h.watched(w)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = h.Cancel(t.Context(), id.Ref(), task.CancelRequest{Reason: "enough"}, "")
		}()
		<-done
		h.bury(w, g)
		if p.killed != nil {
			t.Fatal("the crash came too late")
		}
		h.up()
		check(t, h, id, p)
	})
}

func TestTimeoutOverDaemons(t *testing.T) {
	run := func(name string, fn func(t *testing.T, h *house, w *world, id task.ID, p *program)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, w := newWorldHouse(t)
				h.up()
				id := h.submit(task.Spec{Kind: "p", Timeout: task.Duration(time.Hour)}).ID
				fn(t, h, w, id, h.watched(w))
				h.down()
			})
		})
	}
	run("it counts from the beginning", func(t *testing.T, h *house, w *world, id task.ID, p *program) {
		began := time.Now()
		time.Sleep(40 * time.Minute)
		h.down()
		h.up()
		h.watched(w)
		time.Sleep(20*time.Minute - 10*time.Second)
		if got := h.get(id); got.Status != task.StatusRunning {
			t.Fatalf("ended %s ten seconds too early", got.Outcome)
		}
		end := h.wait(id)
		wantEnd(t, end, task.StatusFailed, task.OutcomeTimedOut, 1)
		if took := time.Since(began); took > time.Hour+time.Second || took < time.Hour-time.Second {
			t.Errorf("took %s", took)
		}
	})
	run("what is overdue is ended at once", func(t *testing.T, h *house, w *world, id task.ID, p *program) {
		h.down()
		time.Sleep(2 * time.Hour)
		h.up()
		found := time.Now()
		wantEnd(t, h.wait(id), task.StatusFailed, task.OutcomeTimedOut, 1)
		if !errors.Is(p.killed, job.ErrTimeout) || time.Since(found) > time.Second {
			t.Errorf("ended by %v after %s", p.killed, time.Since(found))
		}
	})
	run("what ended in time did", func(t *testing.T, h *house, w *world, id task.ID, p *program) {
		h.down()
		w.end(p, errors.New("exit status 7"))
		time.Sleep(2 * time.Hour)
		w.hook = func(point string) {
			if point == "program.started" {
				time.Sleep(time.Second) // finding out takes its time
			}
		}
		h.up()
		wantEnd(t, h.wait(id), task.StatusFailed, task.OutcomeFailed, 1)
	})
}

func TestHowAProgramEnded(t *testing.T) {
	boom := errors.New("boom")
	for _, tt := range []struct {
		err     error
		status  task.Status
		outcome task.Outcome
	}{
		{nil, task.StatusCompleted, task.OutcomeSucceeded},
		{boom, task.StatusFailed, task.OutcomeFailed},
		{job.Ended(task.OutcomeSignaled, boom), task.StatusFailed, task.OutcomeSignaled},
		{job.Ended(task.OutcomeLost, boom), task.StatusFailed, task.OutcomeLost},
		{fmt.Errorf("wrapped: %w", job.Ended(task.OutcomeLost, boom)), task.StatusFailed, task.OutcomeLost},
		{job.Ended(task.OutcomeSucceeded, boom), task.StatusFailed, task.OutcomeFailed}, // nobody may say that of an error
	} {
		t.Run(fmt.Sprint(tt.outcome, tt.err), func(t *testing.T) {
			h, w := newWorldHouse(t)
			h.up()
			id := h.submit(task.Spec{Kind: "p"}).ID
			p := h.watched(w)
			if tt.outcome == task.OutcomeLost {
				close(p.orphan)
				h.awaitState(id, func(t task.Task) bool { return t.Phase == task.PhaseOrphaned })
			}
			w.end(p, tt.err)
			wantEnd(t, h.wait(id), tt.status, tt.outcome, 1)
		})
	}
}

// TestAnotherBoot: it is started again, and three such ends in a row are a crash loop.
func TestAnotherBoot(t *testing.T) {
	h, w := newWorldHouse(t)
	h.up()
	id := h.submit(task.Spec{Kind: "p"}).ID
	for n := 1; n <= task.CrashLoopLimit; n++ {
		p := h.watched(w)
		if got := h.get(id); got.Attempt != n {
			t.Fatalf("attempt %d, want %d", got.Attempt, n)
		}
		h.down()
		w.end(p, job.Ended(task.OutcomeInterrupted, errors.New("the machine was started anew")))
		h.up()
	}
	got := h.awaitState(id, func(t task.Task) bool { return t.Status != task.StatusRunning })
	if got.Phase != task.PhasePaused || got.Reason != task.ReasonCrashLoop || len(got.Attempts) != task.CrashLoopLimit {
		t.Errorf("%s (%s) %q, %d attempts", got.Status, got.Phase, got.Reason, len(got.Attempts))
	}
}
