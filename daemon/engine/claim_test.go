package engine_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"durable/daemon/engine"
	"durable/daemon/job"
	"durable/daemon/store"
	"durable/ipc/polltest"
	"durable/ipc/task"
)

// doubtful asks for a yes before anything.
type doubtful struct{}

func (doubtful) Judge(task.Caller, []task.Effect) (bool, error) { return true, nil }
func (doubtful) Remember([]task.Effect) error                   { return nil }

// commits counts the store's commits during fn.
func (h *house) commits(fn func()) uint64 {
	before := h.store.Info().Commits
	fn()
	return h.store.Info().Commits - before
}

// journal returns what the journal says of a task, in words.
func (h *house) journal(id task.ID) (said []string) {
	h.t.Helper()
	s, err := h.Events(h.t.Context(), task.EventQuery{After: task.CursorStart, Task: id.Ref()})
	if err != nil {
		h.t.Fatal(err)
	}
	defer s.Close()
	for {
		ev, err := s.Next()
		if err != nil {
			return said
		}
		said = append(said, fmt.Sprintf("%s %s/%s %d", ev.Type, ev.Task.Status, ev.Task.Phase, ev.Task.Attempt))
	}
}

// TestWhenASubmitBegins: which submits begin in their own commit.
func TestWhenASubmitBegins(t *testing.T) {
	drain := func(t *testing.T, h *house) {
		if _, err := h.Drain(t.Context(), task.DrainRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	fill := func(n int) func(*testing.T, *house) {
		return func(t *testing.T, h *house) {
			for range n {
				h.submit(task.Spec{Kind: "k"})
			}
		}
	}
	tests := []struct {
		name  string
		tune  func(*engine.Config)
		first func(*testing.T, *house) // before the submit
		spec  task.Spec
		phase task.Phase
	}{
		{"a slot is free", nil, nil, task.Spec{Kind: "k"}, task.PhaseRunning},
		{"the last slot", nil, fill(1), task.Spec{Kind: "k"}, task.PhaseRunning},
		{"with an alias, a priority and a timeout", nil, nil, task.Spec{Kind: "k-alias", Priority: -5, Timeout: task.Duration(time.Hour)}, task.PhaseRunning},
		{"a program", nil, nil, task.Spec{Kind: "p"}, task.PhaseStarting},
		{"all slots are taken", nil, fill(2), task.Spec{Kind: "k"}, task.PhaseQueued},
		{"somebody waits", nil, fill(3), task.Spec{Kind: "k", Priority: 9}, task.PhaseQueued},
		{"draining", nil, drain, task.Spec{Kind: "k"}, task.PhaseQueued},
		{"it waits for a yes", func(c *engine.Config) { c.Policy = doubtful{} }, nil, task.Spec{Kind: "k"}, task.PhaseAwaitingApproval},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, _, release := hold("k")
			w := newWorld()
			h := newHouse(t, k, survivor{"p", w})
			h.slots, h.tune = 2, tt.tune
			h.up()
			defer close(release)
			h.opened()
			if tt.first != nil {
				tt.first(t, h)
			}
			var made task.Task
			n := h.commits(func() { made = h.submit(tt.spec) })
			if made.Phase != tt.phase {
				t.Fatalf("answered %s (%s), want %s", made.Status, made.Phase, tt.phase)
			}
			begun := made.Status == task.StatusRunning
			want := []string{fmt.Sprintf("submitted pending/%s 0", tt.phase)}
			if begun {
				want = []string{"submitted pending/queued 0", fmt.Sprintf("started running/%s 1", tt.phase)}
			}
			said := h.journal(made.ID)
			if len(said) < len(want) || fmt.Sprint(said[:len(want)]) != fmt.Sprint(want) || begun != (made.Attempt == 1 && made.StartedAt != nil) {
				t.Errorf("journal %q of %+v, want %q", said, made, want)
			}
			if n != 1 && (n == 0 || tt.spec.Kind != "p") { // a program says that it runs
				t.Errorf("%d commits", n)
			}
			if p := made.Phase; begun {
				if got := h.get(made.ID); got.Attempt != 1 || got.Status != task.StatusRunning {
					t.Errorf("answered phase %s, and it is %+v", p, got)
				}
			}
		})
	}
}

// opened waits until the engine takes submits at once: until something that only Run begins has come to its end.
func (h *house) opened() {
	h.t.Helper()
	polltest.True(h.t, time.Minute, "the engine runs", h.Open)
}

// TestBeforeRunNothingBegins: what was submitted by then is the scheduler's.
func TestBeforeRunNothingBegins(t *testing.T) {
	h := newHouse(t, ok)
	h.open()
	made := h.submit(task.Spec{Kind: "ok"})
	if made.Phase != task.PhaseQueued {
		t.Errorf("answered %s (%s)", made.Status, made.Phase)
	}
	h.run()
	h.wait(made.ID)
}

// TestARepetitionTakesNoSlot: neither a repeated submit nor one that is refused.
func TestARepetitionTakesNoSlot(t *testing.T) {
	k, _, release := hold("k")
	h := newHouse(t, k)
	h.slots = 2
	h.up()
	defer close(release)
	h.opened()
	first, err := h.Submit(t.Context(), task.Spec{Kind: "k"}, "key")
	if err != nil {
		t.Fatal(err)
	}
	again, err := h.Submit(t.Context(), task.Spec{Kind: "k"}, "key")
	if err != nil || again.ID != first.ID || again.Status != task.StatusRunning || again.Attempt != 1 {
		t.Errorf("repeated: %+v, %v", again, err)
	}
	_, err = h.Submit(t.Context(), task.Spec{Kind: "k", Title: "another"}, "key")
	wantCode(t, err, task.Conflict)
	if other := h.submit(task.Spec{Kind: "k"}); other.Status != task.StatusRunning {
		t.Errorf("the slot that was never needed is taken: %s (%s)", other.Status, other.Phase)
	}
	if s, err := h.Stats(t.Context()); err != nil || s.Submitted != 2 || s.Active != 2 {
		t.Errorf("stats %+v, %v", s, err)
	}
}

// TestASlotOfAFailedCommitIsFree: the disk is full, then it is not; programs and others.
func TestASlotOfAFailedCommitIsFree(t *testing.T) {
	w := newWorld()
	h, b := newBrokenHouse(t, ok, survivor{"p", w})
	h.opened()
	for _, kind := range []string{"p", "ok"} {
		for range 2 * engine.DefaultSlots {
			b.arm(func() { b.late = 1 })
			_, err := h.Submit(t.Context(), task.Spec{Kind: kind}, "")
			wantCode(t, err, task.ResourceExhausted)
		}
	}
	if s, err := h.Stats(t.Context()); err != nil || s.Active != 0 || s.Submitted != 0 || s.Started != 0 {
		t.Errorf("stats %+v, %v", s, err)
	}
	if left, _ := filepath.Glob(filepath.Join(h.dir, "tasks", "*-*")); len(left) > 0 {
		t.Errorf("folders of tasks that were never made: %v", left)
	}
	made := h.submit(task.Spec{Kind: "ok"})
	if made.Status != task.StatusRunning {
		t.Errorf("afterwards: %s (%s)", made.Status, made.Phase)
	}
	h.wait(made.ID)
}

// TestALostBeginningIsRecovered: a commit of unknown outcome begins nothing here, and the next engine goes by the file.
func TestALostBeginningIsRecovered(t *testing.T) {
	for _, committed := range []bool{false, true} {
		h, b := newBrokenHouse(t, ok)
		h.opened()
		b.arm(func() { b.unknown, b.commit = true, committed })
		_, err := h.Submit(t.Context(), task.Spec{Kind: "ok"}, "key")
		wantCode(t, err, task.Unavailable)
		h.crashed()
		again, err := h.Submit(t.Context(), task.Spec{Kind: "ok"}, "key")
		if err != nil {
			t.Fatal(err)
		}
		want := 1
		if committed { // begun, and nobody has seen it end
			want = 2
		}
		if end := h.wait(again.ID); end.Status != task.StatusCompleted || end.Attempt != want {
			t.Errorf("in the file %v: %s in attempt %d, want %d", committed, end.Status, end.Attempt, want)
		}
	}
}

// TestNobodyOvertakes: whoever submits while others wait comes after them, however the slots become free.
func TestNobodyOvertakes(t *testing.T) {
	order := make(chan uint64, 1000)
	h := newHouse(t, script{name: "k", run: func(_ context.Context, j *job.Context) (any, error) {
		order <- j.Task().Number
		return nil, nil
	}})
	h.slots = 1
	h.up()
	const crowd, each = 4, 10
	ids := make(chan task.ID, crowd*each)
	for range crowd {
		go func() {
			for range each {
				made, err := h.Submit(context.Background(), task.Spec{Kind: "k"}, "")
				if err != nil {
					t.Error(err)
				}
				ids <- made.ID
			}
		}()
	}
	for range crowd * each {
		h.wait(<-ids)
	}
	for want := uint64(1); want <= crowd*each; want++ {
		if got := <-order; got != want {
			t.Fatalf("task %d began when it was the turn of %d", got, want)
		}
	}
}

// TestWhoseTimeHasComeIsNotOvertaken: the scheduler has not looked yet, but a retry is due before the submit.
func TestWhoseTimeHasComeIsNotOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := script{name: "f", run: func(context.Context, *job.Context) (any, error) { return nil, errors.New("no") }}
		h := newHouse(t, fail, ok)
		h.up()
		old := h.submit(task.Spec{Kind: "f", Retry: &task.Retry{MaxAttempts: 2, Backoff: task.Duration(time.Minute), MaxBackoff: task.Duration(time.Minute)}})
		synctest.Wait()
		if got := h.get(old.ID); got.Phase != task.PhaseRetryWait {
			t.Fatalf("%s (%s)", got.Status, got.Phase)
		}
		early := h.submit(task.Spec{Kind: "ok"}) // nobody is due yet
		if early.Status != task.StatusRunning {
			t.Errorf("before the time: %s (%s)", early.Status, early.Phase)
		}
		synctest.Wait()
		h.down()
		time.Sleep(2 * time.Minute)
		h.open() // and nobody has looked what is due
		if err := h.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.SetOpen()
		late := h.submit(task.Spec{Kind: "ok"})
		if late.Phase != task.PhaseQueued {
			t.Errorf("after it: %s (%s)", late.Status, late.Phase)
		}
		h.resume()
		h.wait(late.ID)
		h.wait(old.ID)
		h.down()
	})
}

// TestASubmitIntoALeavingEngine: it is accepted, begins nothing or is ended in order, and goes on under the next one.
func TestASubmitIntoALeavingEngine(t *testing.T) {
	k := script{name: "k", run: func(ctx context.Context, j *job.Context) (any, error) {
		if j.Attempt() == 1 {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
		return nil, nil
	}}
	for range 4 {
		h := newHouse(t, k)
		h.slots = 1000
		h.up()
		h.opened()
		made := make(chan task.ID, 1000)
		full := make(chan struct{})
		go func() {
			defer close(made)
			for i := range 40 {
				got, err := h.Submit(context.Background(), task.Spec{Kind: "k"}, "")
				if err != nil {
					t.Error(err)
					return
				}
				made <- got.ID
				if i == 5 {
					close(full)
				}
			}
		}()
		<-full
		h.stop()
		if err := <-h.ended; err != nil {
			t.Error(err)
		}
		var ids []task.ID
		for id := range made {
			ids = append(ids, id)
		}
		h.stop = nil
		h.close()
		h.open()
		for _, id := range ids {
			if got := h.get(id); got.Status != task.StatusPending {
				t.Errorf("task %d was left %s (%s)", got.Number, got.Status, got.Phase)
			}
		}
		h.close()
	}
}

// TestASlotThatComesBackIsNoticed: who was queued for want of a slot that is then given back does not wait for ever.
func TestASlotThatComesBackIsNoticed(t *testing.T) {
	h := newHouse(t, ok)
	h.slots = 1
	s := &spoilingStore{}
	h.wrap = func(st *store.Store) engine.Store {
		s.Store = st
		return s
	}
	h.up()
	h.opened()
	var queued task.Task
	s.between = func() { queued = h.submit(task.Spec{Kind: "ok"}) }
	_, err := h.Submit(t.Context(), task.Spec{Kind: "ok"}, "")
	wantCode(t, err, task.ResourceExhausted)
	if queued.Phase != task.PhaseQueued {
		t.Errorf("while the slot was taken: %s (%s)", queued.Status, queued.Phase)
	}
	h.wait(queued.ID)
}

// spoilingStore spoils the next admission, and does something before its caller hears of it.
type spoilingStore struct {
	*store.Store
	between func()
}

func (s *spoilingStore) Update(ctx context.Context, class store.Class, fn func(*store.Tx) error) error {
	if class != store.Admission || s.between == nil { // other updates are the scheduler's, in a goroutine of its own
		return s.Store.Update(ctx, class, fn)
	}
	between := s.between
	s.between = nil
	full := task.Errorf(task.ResourceExhausted, "the disk is full")
	err := s.Store.Update(ctx, class, func(tx *store.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return full
	})
	between()
	return err
}

// TestARerunClosureHoldsOneSlot: the transaction is begun again for the sake of another one in its group.
func TestARerunClosureHoldsOneSlot(t *testing.T) {
	k, _, release := hold("k")
	h := newHouse(t, k)
	h.slots = 2
	var again bool
	h.wrap = func(s *store.Store) engine.Store { return &twiceStore{s, &again} }
	h.up()
	defer close(release)
	h.opened()
	again = true
	if made := h.submit(task.Spec{Kind: "k"}); made.Status != task.StatusRunning {
		t.Errorf("%s (%s)", made.Status, made.Phase)
	}
	if s, err := h.Stats(t.Context()); err != nil || s.Active != 1 {
		t.Errorf("%d active, %v", s.Active, err)
	}
	if made := h.submit(task.Spec{Kind: "k"}); made.Status != task.StatusRunning {
		t.Errorf("the second: %s (%s)", made.Status, made.Phase)
	}
}

// twiceStore has each admission run twice, as the committer does when a neighbour in its group has failed.
type twiceStore struct {
	*store.Store
	on *bool
}

var errSpoiled = errors.New("spoiled")

func (s *twiceStore) Update(ctx context.Context, class store.Class, fn func(*store.Tx) error) error {
	if class == store.Admission && *s.on {
		err := s.Store.Update(ctx, class, func(tx *store.Tx) error {
			if err := fn(tx); err != nil {
				return err
			}
			return errSpoiled
		})
		if !errors.Is(err, errSpoiled) {
			return err
		}
	}
	return s.Store.Update(ctx, class, fn)
}
