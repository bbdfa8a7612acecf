package engine_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"durable/daemon/job"
	"durable/daemon/store"
	"durable/ipc/task"
)

// TestAThousandAreAdopted: all at once, beyond the slots, and nothing new begins until there is room.
func TestAThousandAreAdopted(t *testing.T) {
	const n = 1000
	h, w := newWorldHouse(t)
	h.slots = n
	h.up()
	var ids []task.ID
	for range n {
		ids = append(ids, h.submit(task.Spec{Kind: "p"}).ID)
	}
	var programs []*program
	for range n {
		programs = append(programs, h.watched(w))
	}
	h.down()
	h.slots = 2
	began := time.Now()
	h.up()
	for range n {
		h.watched(w)
	}
	t.Logf("%d adopted in %s", n, time.Since(began))
	queued := h.submit(task.Spec{Kind: "p"})
	if s, err := h.Stats(t.Context()); err != nil || s.Active != n || s.Slots != 2 || s.Queued != 1 || s.Started != 0 {
		t.Errorf("stats %+v, %v", s, err)
	}
	for _, p := range programs {
		if h.get(queued.ID).Status != task.StatusPending {
			t.Fatal("it began without a slot")
		}
		if len(programs) > 10 && p == programs[len(programs)-10] {
			break
		}
		w.end(p, nil)
	}
	for _, p := range programs[n-10:] {
		w.end(p, nil)
	}
	w.end(h.watched(w), nil)
	for _, id := range append(ids, queued.ID) {
		wantEnd(t, h.wait(id), task.StatusCompleted, task.OutcomeSucceeded, 1)
	}
}

// TestAKindThatIsGone: its program may run on, so that its task is neither ended nor started again.
func TestAKindThatIsGone(t *testing.T) {
	h, w := newWorldHouse(t)
	h.up()
	id := h.submit(task.Spec{Kind: "p"}).ID
	p := h.watched(w)
	h.down()
	kinds := h.kinds
	h.kinds = []job.Kind{ok}
	h.up()
	got := h.get(id)
	if got.Status != task.StatusRunning || got.Attempt != 1 || got.Reason != task.ReasonKindUnknown {
		t.Errorf("%s, attempt %d, %q", got.Status, got.Attempt, got.Reason)
	}
	info, err := h.Info(t.Context())
	if err != nil || len(info.Warnings) != 1 || !strings.Contains(info.Warnings[0], "task 1 may run on") || info.Active != 0 {
		t.Errorf("active %d, warnings %q, %v", info.Active, info.Warnings, err)
	}
	_, err = h.Stdin(t.Context(), id.Ref(), task.StdinRequest{})
	wantCode(t, err, task.FailedPrecondition)
	wantCode(t, h.Forget(t.Context(), id.Ref()), task.FailedPrecondition)
	h.wait(h.submit(task.Spec{Kind: "ok"}).ID)

	if err := h.Learn(t.Context(), kinds[0]); err != nil { // as a reload does
		t.Fatal(err)
	}
	if again := h.watched(w); again != p {
		t.Errorf("watched %s", again.dir)
	}
	if got := h.get(id); got.Reason != "" || got.Status != task.StatusRunning {
		t.Errorf("adopted: %s, %q", got.Status, got.Reason)
	}
	if info, err := h.Info(t.Context()); err != nil || len(info.Warnings) != 0 || info.Active != 1 {
		t.Errorf("active %d, warnings %q, %v", info.Active, info.Warnings, err)
	}
	w.end(p, nil)
	wantEnd(t, h.wait(id), task.StatusCompleted, task.OutcomeSucceeded, 1)
}

// TestAKindThatIsGoneAndCancelled: the cancel waits for the kind, and is not forgotten.
func TestAKindThatIsGoneAndCancelled(t *testing.T) {
	h, w := newWorldHouse(t)
	h.up()
	id := h.submit(task.Spec{Kind: "p"}).ID
	p := h.watched(w)
	h.down()
	kinds := h.kinds
	h.kinds = []job.Kind{ok}
	h.up()
	if got, err := h.Cancel(t.Context(), id.Ref(), task.CancelRequest{Reason: "enough"}, ""); err != nil || got.Phase != task.PhaseStopping {
		t.Fatalf("cancel: %s, %v", got.Phase, err)
	}
	h.down()
	h.kinds = kinds
	h.up()
	end := h.wait(id)
	wantEnd(t, end, task.StatusCancelled, task.OutcomeCancelled, 1)
	if !errors.Is(p.killed, job.ErrCancelled) || end.Reason != "enough" {
		t.Errorf("ended by %v, reason %q", p.killed, end.Reason)
	}
}

// TestAKindThatLearntToSurvive: what an old version ran in its own process is gone with that.
func TestAKindThatLearntToSurvive(t *testing.T) {
	w := newWorld()
	old, running, _ := hold("p")
	g := &grave{at: "never", died: make(chan struct{})}
	h := newHouse(t, old)
	h.hook = g.pass
	h.up()
	id := h.submit(task.Spec{Kind: "p"}).ID
	<-running
	g.mu.Lock()
	g.at = "run.returned" // a stop that looks like a crash
	g.mu.Unlock()
	h.stop()
	h.bury(w, g)
	h.kinds = []job.Kind{survivor{"p", w}}
	h.up()
	w.end(h.watched(w), nil)
	wantEnd(t, h.wait(id), task.StatusCompleted, task.OutcomeSucceeded, 2)
}

// TestADefectOfTheWatcherDoesNotForgetTheProgram: it is watched again, in the same attempt.
func TestADefectOfTheWatcherDoesNotForgetTheProgram(t *testing.T) {
	for _, tt := range []struct {
		name   string
		slips  int32
		panics bool
		want   task.Outcome
	}{
		{"lets go", 5, false, task.OutcomeSucceeded},
		{"panics", 2, true, task.OutcomeSucceeded},
		{"panics for ever", 1 << 20, true, task.OutcomeLost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				var slips atomic.Int32
				slips.Store(tt.slips)
				h := newHouse(t, careless{survivor{"c", w}, &slips, tt.panics}).up()
				defer h.down()
				id := h.submit(task.Spec{Kind: "c"}).ID
				if tt.want == task.OutcomeSucceeded {
					w.end(h.watched(w), nil)
				}
				end := h.wait(id)
				if end.Outcome != tt.want || end.Attempt != 1 {
					t.Errorf("ended %s at attempt %d: %v", end.Outcome, end.Attempt, end.Error)
				}
			})
		})
	}
}

// TestAFollowedLogOfAProgramThatGoesOn: its reader is told that the daemon leaves, not that there is no more.
func TestAFollowedLogOfAProgramThatGoesOn(t *testing.T) {
	h, w := newWorldHouse(t)
	h.up()
	id := h.submit(task.Spec{Kind: "p"}).ID
	h.watched(w)
	log, err := h.Log(t.Context(), id.Ref(), task.LogQuery{Stream: task.StreamLog, Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Body.Close()
	h.down()
	_, err = io.ReadAll(log.Body)
	wantCode(t, err, task.Unavailable)
}

// TestStaleSurvivor: an attempt of a daemon that has been replaced marks nothing.
func TestStaleSurvivor(t *testing.T) {
	h, w := newWorldHouse(t)
	marked := make(chan error) // each Started waits until the test has seen the one before
	h.kinds = append(h.kinds, marker{survivor{"m", w}, marked})
	h.up()
	id := h.submit(task.Spec{Kind: "m"}).ID
	if err := <-marked; err != nil {
		t.Fatal(err)
	}
	if err := h.store.Update(t.Context(), store.Essential, func(tx *store.Tx) error {
		rec, err := tx.Task(id)
		if err != nil {
			return err
		}
		rec.Nonce = "another"
		return tx.Put(rec, "")
	}); err != nil {
		t.Fatal(err)
	}
	var fenced bool
	for range 2 {
		fenced = errors.Is(<-marked, job.ErrFenced)
	}
	if !fenced {
		t.Error("it was not told that another attempt owns the task")
	}
	if got := h.get(id); got.Status != task.StatusRunning {
		t.Error(fmt.Sprint("it ended the task of another: ", got.Status))
	}
}
