package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"durable/ipc/task"
)

// start is when everything in the tests happens.
var start = time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)

// fake is a task.Service in memory, behind the real API on a real socket. What a task does, the test
// says: see the methods that take a number.
type fake struct {
	task.UnimplementedService
	quit  func() // ends the server
	state string // its state folder

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at each change
	tasks   []*task.Task
	logs    map[uint64]map[string][]byte // by stream; a task that has stdout is a command
	holes   map[uint64][2]int            // these bytes of stdout are gone
	specs   []task.Spec
	journal []task.Event
	// looks counts the streams and waits that were ever opened; lookedAt is what it was at the last Get.
	looks, lookedAt int
	// input is what was written to the tasks' programs; lost pieces are taken, and the answer is not.
	input  map[uint64][]byte
	closed map[uint64]bool
	lose   int
	// asks makes every task wait for approval; did lists what was asked besides, as text.
	asks bool
	did  []string
}

func newFake(state string) *fake {
	return &fake{
		state: state, changed: make(chan struct{}), logs: map[uint64]map[string][]byte{}, holes: map[uint64][2]int{},
		input: map[uint64][]byte{}, closed: map[uint64]bool{},
	}
}

// update changes something under the lock and wakes all who wait.
func (f *fake) update(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	close(f.changed)
	f.changed = make(chan struct{})
}

// until blocks until ready, which is called with the lock held.
func (f *fake) until(ctx context.Context, ready func() bool) error {
	for {
		f.mu.Lock()
		ok, changed := ready(), f.changed
		f.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// look counts one who looks on.
func (f *fake) look() { f.update(func() { f.looks++ }) }

func (f *fake) findLocked(ref task.Ref) (*task.Task, error) {
	kind, err := ref.Parse()
	if err != nil {
		return nil, err
	}
	for _, t := range slices.Backward(f.tasks) {
		if kind == task.RefNewest || kind == task.RefNumber && t.Number == ref.Number() || kind == task.RefID && t.ID.Ref() == ref {
			return t, nil
		}
	}
	return nil, task.Errorf(task.NotFound, "no task %s", ref).WithHint("durablectl list --all")
}

// eventLocked journals what has become of t; progress is told of only.
func (f *fake) eventLocked(kind task.EventType, t *task.Task) {
	e := task.Event{Time: start, Type: kind, TaskID: t.ID, Task: t.Summary()}
	if kind != task.EventProgress {
		e.Cursor = task.Cursor(fmt.Sprintf("e.%d", len(f.journal)+1))
	}
	f.journal = append(f.journal, e)
}

// add takes a task as it is.
func (f *fake) add(t task.Task) task.Task {
	f.update(func() {
		if t.Number == 0 {
			t.Number = uint64(len(f.tasks) + 1)
		}
		if t.ID == "" {
			t.ID = task.ID(fmt.Sprintf("01999999-0000-7000-8000-%012d", t.Number))
		}
		if t.CreatedAt.IsZero() {
			t.CreatedAt, t.UpdatedAt = start, start
		}
		f.tasks = append(f.tasks, &t)
		f.eventLocked(task.EventSubmitted, &t)
	})
	return t
}

// change applies a change to a task and tells of it.
func (f *fake) change(ref task.Ref, kind task.EventType, change func(*task.Task) error) (task.Task, error) {
	var (
		after task.Task
		err   error
	)
	f.update(func() {
		var t *task.Task
		if t, err = f.findLocked(ref); err != nil {
			return
		}
		if err = change(t); err == nil {
			f.eventLocked(kind, t)
			after = *t
		}
	})
	return after, err
}

func end(status task.Status) func(*task.Task) error {
	return func(t *task.Task) error {
		at := start.Add(3 * time.Second)
		t.Status, t.Phase, t.CompletedAt = status, task.PhaseNone, &at
		switch status {
		case task.StatusCompleted:
			t.Outcome, t.Result = task.OutcomeSucceeded, json.RawMessage(`{"moved":7}`)
		case task.StatusFailed:
			t.Outcome, t.Error = task.OutcomeFailed, task.Errorf(task.InvalidArgument, "line 7: 3 fields, want 6\nmore").WithHint("mend line 7")
		case task.StatusCancelled:
			t.Outcome = task.OutcomeCancelled
		}
		return nil
	}
}

func (f *fake) Info(context.Context) (task.Info, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return task.Info{
		Version: "v1.2.3", API: task.API, PID: 4242, StartedAt: start, Uptime: task.Duration(time.Hour),
		Lives: task.LivesUntilReboot, Paths: task.Paths{State: f.state}, Counts: f.countsLocked(), Slots: 4, Active: 1,
		Capabilities: []task.Capability{}, Warnings: []string{},
	}, nil
}

func (f *fake) countsLocked() map[task.Status]int {
	counts := map[task.Status]int{}
	for _, t := range f.tasks {
		counts[t.Status]++
	}
	return counts
}

func (f *fake) Kinds(context.Context) ([]task.KindInfo, error) {
	return []task.KindInfo{
		{Name: "data_migration", Alias: "migration", Title: "Data migration", Description: "Moves records.\nExactly once.", Schema: json.RawMessage(`{"type":"object"}`)},
		{Name: "nightly", Title: "Nightly build", Description: "Builds a branch.", UserDefined: true, Schema: json.RawMessage(nightlySchema)},
		{Name: "noop", Title: "No operation", Description: "Does nothing.", Schema: json.RawMessage(`{"type":"object"}`)},
	}, nil
}

func (f *fake) Stats(context.Context) (task.Stats, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return task.Stats{Counts: f.countsLocked(), Total: len(f.tasks), Active: 1, Slots: 4, Uptime: task.Duration(time.Hour), Submitted: 7}, nil
}

func (f *fake) Submit(_ context.Context, spec task.Spec, _ task.Key) (task.Task, error) {
	switch spec.Kind {
	case "data_migration", "batch_processing", "noop", "command", "nightly":
	default:
		return task.Task{}, task.Errorf(task.InvalidArgument, "kind %q is not known", spec.Kind).WithHint("durablectl kinds lists them")
	}
	f.update(func() { f.specs = append(f.specs, spec) })
	t := task.Task{Kind: spec.Kind, Title: spec.Title, Params: spec.Params, Labels: spec.Labels, Status: task.StatusPending, Phase: task.PhaseQueued}
	f.mu.Lock()
	if f.asks {
		t.Phase = task.PhaseAwaitingApproval
	}
	f.mu.Unlock()
	return f.add(t), nil
}

func (f *fake) Get(_ context.Context, ref task.Ref) (task.Task, error) {
	var (
		found task.Task
		err   error
	)
	f.update(func() {
		var t *task.Task
		if t, err = f.findLocked(ref); err == nil {
			found = *t
		}
		f.lookedAt = f.looks
	})
	return found, err
}

func (f *fake) List(_ context.Context, q task.ListQuery) (task.TaskList, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []task.Task
	for _, t := range slices.Backward(f.tasks) {
		if (len(q.Status) == 0 || slices.Contains(q.Status, t.Status)) && (q.Kind == "" || q.Kind == t.Kind) {
			found = append(found, *t)
		}
	}
	if q.Order == task.OrderEnded {
		slices.SortStableFunc(found, func(a, b task.Task) int { return b.CompletedAt.Compare(*a.CompletedAt) })
	}
	var from int
	fmt.Sscanf(q.Cursor, "p%d", &from)
	total := len(found)
	list := task.TaskList{Total: &total, Cursor: task.Cursor(fmt.Sprintf("e.%d", len(f.journal)))}
	to := min(total, from+cmp.Or(q.Limit, task.DefaultLimit))
	list.Tasks = found[from:to]
	if to < total {
		list.NextCursor = fmt.Sprintf("p%d", to)
	}
	return list, nil
}

func (f *fake) Wait(ctx context.Context, ref task.Ref, timeout time.Duration) (task.Task, error) {
	f.look()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_ = f.until(ctx, func() bool {
		t, err := f.findLocked(ref)
		return err != nil || t.Status.Terminal()
	})
	return f.Get(ctx, ref)
}

func (f *fake) Cancel(_ context.Context, ref task.Ref, req task.CancelRequest, _ task.Key) (task.Task, error) {
	return f.change(ref, task.EventStatus, func(t *task.Task) error {
		if t.Status.Terminal() {
			return task.Errorf(task.FailedPrecondition, "task %d is %s already", t.Number, t.Status).WithHint("durablectl status %d", t.Number)
		}
		t.Reason = req.Reason
		return end(task.StatusCancelled)(t)
	})
}

func (f *fake) Retry(ctx context.Context, ref task.Ref, req task.RetryRequest, _ task.Key) (task.Task, error) {
	t, err := f.Get(ctx, ref)
	if err != nil {
		return t, err
	}
	if len(req.Env) > 0 {
		f.note("retry %v, with an environment: %t", req.Env, len(req.Environ) > 0)
	}
	return f.add(task.Task{Kind: t.Kind, Title: t.Title, RetryOf: t.ID, Status: task.StatusPending, Phase: task.PhaseQueued}), nil
}

func (f *fake) Forget(_ context.Context, ref task.Ref) error {
	_, err := f.change(ref, task.EventRemoved, func(t *task.Task) error {
		if !t.Status.Terminal() {
			return task.Errorf(task.FailedPrecondition, "task %d has not ended", t.Number).WithHint("durablectl cancel %d", t.Number)
		}
		f.tasks = slices.DeleteFunc(f.tasks, func(other *task.Task) bool { return other == t })
		return nil
	})
	return err
}

func (f *fake) Backup(_ context.Context, req task.BackupRequest) (task.BackupResult, error) {
	return task.BackupResult{Path: req.Path, Bytes: 1 << 20, Tasks: len(f.tasks)}, nil
}

func (f *fake) Shutdown(context.Context, task.ShutdownRequest) error {
	go f.quit()
	return nil
}

func (f *fake) Events(ctx context.Context, q task.EventQuery) (task.EventStream, error) {
	s := &fakeStream{f: f, follow: q.Follow}
	s.ctx, s.cancel = context.WithCancel(ctx)
	f.look()
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case q.After == "":
		s.next = len(f.journal)
	case q.After != task.CursorStart:
		if _, err := fmt.Sscanf(string(q.After), "e.%d", &s.next); err != nil {
			return nil, task.Errorf(task.InvalidArgument, "cursor %q is none of ours", q.After)
		}
	}
	if q.Task != "" {
		t, err := f.findLocked(q.Task)
		if err != nil {
			return nil, err
		}
		s.of = t.ID
	}
	return s, nil
}

type fakeStream struct {
	f      *fake
	ctx    context.Context
	cancel func()
	next   int
	of     task.ID
	follow bool
}

func (s *fakeStream) Next() (task.Event, error) {
	for {
		if err := s.f.until(s.ctx, func() bool { return s.next < len(s.f.journal) || !s.follow }); err != nil {
			return task.Event{}, err
		}
		s.f.mu.Lock()
		if s.next >= len(s.f.journal) {
			s.f.mu.Unlock()
			return task.Event{}, io.EOF
		}
		e := s.f.journal[s.next]
		s.next++
		s.f.mu.Unlock()
		if s.of == "" || s.of == e.TaskID {
			return e, nil
		}
	}
}

func (s *fakeStream) Close() error {
	s.cancel()
	return nil
}
