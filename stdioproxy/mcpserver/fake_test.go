package mcpserver_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"durable/ipc/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a service whose tasks the test moves. Tasks never run by themselves.
type fake struct {
	task.UnimplementedService

	mu      sync.Mutex
	tasks   []task.Task // by number, from 1
	keys    map[task.Key]task.ID
	specs   []task.Spec
	logs    map[task.ID]string
	outputs map[task.ID]map[string]string // of a command: by stream
	hole    [2]int                        // of each log: these bytes are gone
	seq     int
	journal []task.Event
	streams map[*fakeStream]bool
	// down makes every call fail as if there were no daemon.
	down bool
	// changed is closed and replaced at each change.
	changed chan struct{}
	// onCancel, if set, decides what a cancel makes of a running task.
	onCancel func(*task.Task)
	panics   bool
	// asks makes every task wait for approval; approvals are the answers: true is always.
	asks      bool
	approvals []bool
	// input is what was written to any task, kinds what there is, retries what was asked.
	input   string
	closed  bool
	kinds   []task.KindInfo
	unknown string // a kind that the daemon refuses
	retries []task.RetryRequest
	// eventCalls counts the attempts to open a stream.
	eventCalls int
}

func newFake() *fake {
	return &fake{
		keys: map[task.Key]task.ID{}, logs: map[task.ID]string{},
		streams: map[*fakeStream]bool{}, changed: make(chan struct{}),
	}
}

func fakeID(n uint64) task.ID {
	return task.ID(fmt.Sprintf("019a0000-0000-7000-8000-0000000000%02x", n))
}

// emitLocked tells everybody; f.mu is held.
func (f *fake) emitLocked(typ task.EventType, t task.Task) {
	ev := task.Event{Time: time.Now(), Type: typ, TaskID: t.ID, Task: t.Summary()}
	if typ != task.EventProgress {
		f.seq++
		ev.Cursor = task.Cursor(fmt.Sprintf("e.%d", f.seq))
		f.journal = append(f.journal, ev)
	}
	for s := range f.streams {
		if s.task == "" || s.task == t.ID {
			s.pushLocked(ev)
		}
	}
	close(f.changed)
	f.changed = make(chan struct{})
}

// change applies fn to task n and tells of it.
func (f *fake) change(n uint64, typ task.EventType, fn func(*task.Task)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := &f.tasks[n-1]
	fn(t)
	t.UpdatedAt = time.Now()
	if t.Status.Terminal() && t.CompletedAt == nil {
		now := time.Now()
		t.CompletedAt = &now
		t.Phase = task.PhaseNone
	}
	f.emitLocked(typ, *t)
}

func (f *fake) progress(n uint64, done, total int64) {
	f.change(n, task.EventProgress, func(t *task.Task) {
		t.Status, t.Phase, t.Attempt = task.StatusRunning, task.PhaseRunning, 1
		t.Progress = task.Progress{Done: done, Total: task.Total(total), Unit: "records",
			Message: fmt.Sprintf("Migrated %d/%d records", done, total)}
	})
}

func (f *fake) complete(n uint64, records int64) {
	f.change(n, task.EventStatus, func(t *task.Task) {
		t.Status, t.Outcome = task.StatusCompleted, task.OutcomeSucceeded
		t.Progress = task.Progress{Done: records, Total: task.Total(records), Unit: "records",
			Message: fmt.Sprintf("Migrated %d/%d records", records, records)}
		t.Result = json.RawMessage(fmt.Sprintf(`{"migrated_records":%d,"total_records":%[1]d,"success":true}`, records))
	})
}

func (f *fake) fail(n uint64, message, hint string) {
	f.change(n, task.EventStatus, func(t *task.Task) {
		t.Status, t.Outcome = task.StatusFailed, task.OutcomeFailed
		t.Error = &task.Error{Code: task.InvalidArgument, Message: message, Hint: hint}
		t.LastError = t.Error
	})
}

// setDown breaks all streams and fails all calls, until it is called with false.
func (f *fake) setDown(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
	if down {
		for s := range f.streams {
			s.failLocked(task.Errorf(task.Unavailable, "the daemon is gone"))
		}
	}
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fake) upLocked() error {
	if f.panics {
		panic("a defect")
	}
	if f.down {
		return task.Errorf(task.Unavailable, "the daemon is not running").WithHint("durablectl service start")
	}
	return nil
}

func (f *fake) Submit(_ context.Context, spec task.Spec, key task.Key) (task.Task, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.upLocked(); err != nil {
		return task.Task{}, err
	}
	if spec.Kind == f.unknown && spec.Kind != "" {
		return task.Task{}, task.Errorf(task.InvalidArgument, "unknown kind %q", spec.Kind).WithHint("this daemon has: command")
	}
	f.specs = append(f.specs, spec)
	if id, ok := f.keys[key]; ok && key != "" {
		return f.tasks[f.findLocked(id.Ref())], nil
	}
	return f.addLocked(spec, key), nil
}

func (f *fake) addLocked(spec task.Spec, key task.Key) task.Task {
	n := uint64(len(f.tasks) + 1)
	t := task.Task{
		ID: fakeID(n), Number: n, Kind: spec.Kind, Title: spec.Title, Params: spec.Params,
		Status: task.StatusPending, Phase: task.PhaseQueued, CreatedAt: time.Now(), UpdatedAt: time.Now(),
	}
	if t.Title == "" {
		t.Title = "orders.csv -> app.db"
	}
	if f.asks {
		t.Phase = task.PhaseAwaitingApproval
		t.Approval = &task.Approval{
			Effects: []task.Effect{{Act: task.ActRun, Program: "/usr/bin/make", Folder: "/src"}},
			AskedAt: time.Now(), ExpiresAt: time.Now().Add(24 * time.Hour),
		}
	}
	f.tasks = append(f.tasks, t)
	f.keys[key] = t.ID
	f.emitLocked(task.EventSubmitted, t)
	return t
}

// add submits n tasks past MCP.
func (f *fake) add(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range n {
		f.addLocked(task.Spec{Kind: "data_migration"}, "")
	}
}

func (f *fake) findLocked(ref task.Ref) int {
	kind, _ := ref.Parse()
	return slices.IndexFunc(f.tasks, func(t task.Task) bool {
		switch kind {
		case task.RefNumber:
			return t.Number == ref.Number()
		case task.RefNewest:
			return t.Number == uint64(len(f.tasks))
		case task.RefInvalid:
			return false
		}
		return strings.HasPrefix(string(t.ID), string(ref)) || strings.HasSuffix(string(t.ID), string(ref))
	})
}

func (f *fake) Get(_ context.Context, ref task.Ref) (task.Task, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.getLocked(ref)
}

func (f *fake) getLocked(ref task.Ref) (task.Task, error) {
	if err := f.upLocked(); err != nil {
		return task.Task{}, err
	}
	if _, err := ref.Parse(); err != nil {
		return task.Task{}, err
	}
	i := f.findLocked(ref)
	if i < 0 {
		return task.Task{}, task.Errorf(task.NotFound, "no task %s", ref).WithHint("durablectl list shows the tasks there are")
	}
	return f.tasks[i], nil
}

func (f *fake) Wait(ctx context.Context, ref task.Ref, timeout time.Duration) (task.Task, error) {
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	for {
		f.mu.Lock()
		t, err := f.getLocked(ref)
		changed := f.changed
		f.mu.Unlock()
		if err != nil || t.Status.Terminal() {
			return t, err
		}
		select {
		case <-changed:
		case <-deadline.C:
			return t, nil
		case <-ctx.Done():
			return task.Task{}, task.Errorf(task.Unavailable, "wait: %w", ctx.Err())
		}
	}
}

func (f *fake) List(_ context.Context, q task.ListQuery) (task.TaskList, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.upLocked(); err != nil {
		return task.TaskList{}, err
	}
	var l task.TaskList
	total := 0
	for _, t := range slices.Backward(f.tasks) {
		if len(q.Status) > 0 && !slices.Contains(q.Status, t.Status) {
			continue
		}
		if total++; len(l.Tasks) < q.Limit {
			l.Tasks = append(l.Tasks, t)
		}
	}
	l.Total = &total
	return l, nil
}

func (f *fake) Stats(context.Context) (task.Stats, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.upLocked(); err != nil {
		return task.Stats{}, err
	}
	st := task.Stats{Counts: map[task.Status]int{}, Total: len(f.tasks)}
	for _, t := range f.tasks {
		st.Counts[t.Status]++
	}
	st.Active = st.Counts[task.StatusRunning]
	return st, nil
}

func (f *fake) Cancel(_ context.Context, ref task.Ref, _ task.CancelRequest, _ task.Key) (task.Task, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t, err := f.getLocked(ref)
	if err != nil || t.Status == task.StatusCancelled {
		return t, err
	}
	if t.Status.Terminal() {
		return t, task.Errorf(task.FailedPrecondition, "task %d has ended: %s", t.Number, t.Status)
	}
	now := time.Now()
	p := &f.tasks[t.Number-1]
	p.CancelRequestedAt = &now
	switch {
	case p.Status == task.StatusPending:
		p.Status, p.Phase, p.CompletedAt = task.StatusCancelled, task.PhaseNone, &now
	case f.onCancel != nil:
		f.onCancel(p)
	default:
		p.Phase = task.PhaseStopping
	}
	f.emitLocked(task.EventStatus, *p)
	return *p, nil
}

func (f *fake) Retry(_ context.Context, ref task.Ref, req task.RetryRequest, key task.Key) (task.Task, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.retries = append(f.retries, req)
	t, err := f.getLocked(ref)
	if err != nil {
		return t, err
	}
	if !t.Status.Terminal() {
		return t, task.Errorf(task.FailedPrecondition, "task %d has not ended", t.Number)
	}
	f.addLocked(task.Spec{Kind: t.Kind, Title: t.Title}, key)
	again := &f.tasks[len(f.tasks)-1]
	again.RetryOf = t.ID
	return *again, nil
}

func (f *fake) Log(_ context.Context, ref task.Ref, q task.LogQuery) (task.Log, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t, err := f.getLocked(ref)
	if err != nil {
		return task.Log{}, err
	}
	text, ok := f.logs[t.ID]
	stream := task.StreamLog
	if out := f.outputs[t.ID]; out != nil {
		stream = cmp.Or(q.Stream, task.StreamStdout)
		text, ok = out[stream]
	}
	if !ok {
		return task.Log{}, task.Errorf(task.NotFound, "task %d has no output yet", t.Number)
	}
	from := int(q.Offset)
	if q.Tail > 0 {
		lines := strings.SplitAfter(text, "\n")
		if lines[len(lines)-1] == "" {
			lines = lines[:len(lines)-1]
		}
		from = len(strings.Join(lines[:max(0, len(lines)-q.Tail)], ""))
	}
	if from > len(text) {
		return task.Log{}, task.Errorf(task.OutOfRange, "offset %d: the log has %d bytes", from, len(text))
	}
	to := len(text)
	if from < f.hole[0] {
		to = min(to, f.hole[0])
	} else if from < f.hole[1] {
		from = f.hole[1]
	}
	return task.Log{
		Stream: stream, Attempt: 1, Offset: int64(from), Size: int64(len(text)), Ended: t.Status.Terminal(),
		Body: io.NopCloser(strings.NewReader(text[from:to])),
	}, nil
}
