package daemon_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"durable/ipc/task"
)

// labelKey is the label under which a task of the load carries its idempotency key: it ties what the
// daemon lists to what was asked for, without trusting the answers.
const labelKey = "key"

// The breaches that the ledger looks for; each must stay at 0.
const (
	breachLost      = "acknowledged submits lost"
	breachDoubled   = "submits doubled by a repeated key"
	breachOverlap   = "attempts that overlapped, or lost a checkpoint"
	breachChanged   = "terminal records changed"
	breachCancel    = "acknowledged cancels forgotten"
	breachReturned  = "forgotten tasks that came back"
	breachData      = "migrations whose data differ"
	breachUnseen    = "completed without a witness"
	breachEvents    = "events missed or contradicted"
	breachUnknown   = "tasks that nobody asked for"
	breachUnwelcome = "answers that should not be"
)

var breachKinds = []string{
	breachLost, breachDoubled, breachOverlap, breachChanged, breachCancel, breachReturned, breachData,
	breachUnseen, breachEvents, breachUnknown, breachUnwelcome,
}

// entry is what the test knows of one submit.
type entry struct {
	key     task.Key
	spec    task.Spec
	rows    [][]string // of a migration: what must arrive
	path    string     // and where
	retryOf *entry
	steps   int  // of a noop
	always  bool // of a command: its like is allowed for good

	// Guarded by ledger.mu.
	id        task.ID // of an acknowledged submit; else empty
	cancelled bool    // a cancel was acknowledged
	forgetting,
	forgotten bool // a forget was asked for, acknowledged
	end *task.Task // the first terminal record that was seen
}

// ledger is the test's own book of what was asked for and what was answered.
type ledger struct {
	mu       sync.Mutex
	entries  map[task.Key]*entry
	byID     map[task.ID]*entry
	breaches map[string][]string
	figures  map[string]int
}

func newLedger() *ledger {
	return &ledger{
		entries: map[task.Key]*entry{}, byID: map[task.ID]*entry{},
		breaches: map[string][]string{}, figures: map[string]int{},
	}
}

// plan enters a submit before it is made.
func (l *ledger) plan(e *entry) *entry {
	e.key = task.Key(uuid.Must(uuid.NewV7()).String())
	if e.retryOf == nil {
		labels := map[string]string{labelKey: string(e.key)}
		maps.Copy(labels, e.spec.Labels)
		e.spec.Labels = labels
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries[e.key] = e
	return e
}

func (l *ledger) breach(kind, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.breachLocked(kind, format, args...)
}

func (l *ledger) breachLocked(kind, format string, args ...any) {
	l.breaches[kind] = append(l.breaches[kind], fmt.Sprintf(format, args...))
}

func (l *ledger) count(figure string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.figures[figure] += n
}

// submitted enters an acknowledged submit. Under one key there is one task.
func (l *ledger) submitted(e *entry, id task.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch e.id {
	case "":
		e.id = id
		l.byID[id] = e
		l.figures["acknowledged submits"]++
	case id:
		l.figures["repeated submits"]++
	default:
		l.breachLocked(breachDoubled, "key %s: task %s, then task %s", e.key, e.id, id)
	}
}

// see takes an answer of the daemon. Only the one client that owns e calls it, one request at a time: an answer
// is never older than the one before.
func (l *ledger) see(e *entry, t task.Task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.cancelled {
		l.checkCancelledLocked(t)
	}
	switch {
	case t.Status.Terminal() && e.end == nil:
		e.end = &t
	case t.Status.Terminal():
		l.compareLocked(e, t)
	case e.end != nil:
		l.breachLocked(breachChanged, "task %s was %s and is %s", t.ID, e.end.Status, t.Status)
	}
}

// checkCancelledLocked is for tasks whose cancel was acknowledged.
func (l *ledger) checkCancelledLocked(t task.Task) {
	if t.Status != task.StatusCancelled && (t.Phase != task.PhaseStopping || t.CancelRequestedAt == nil) {
		l.breachLocked(breachCancel, "task %s is %s (%s)", t.ID, t.Status, t.Phase)
	}
}

// unchanging is all of a terminal record but what a later retry of it may note there.
var unchanging = cmp.Options{
	cmpopts.IgnoreFields(task.Task{}, "RetriedBy", "UpdatedAt"), cmpopts.IgnoreFields(task.Error{}, "Err"),
}

// compareLocked holds a terminal record against the one that was seen first.
func (l *ledger) compareLocked(e *entry, t task.Task) {
	if e.end == nil {
		return
	}
	if diff := cmp.Diff(*e.end, t, unchanging); diff != "" {
		l.breachLocked(breachChanged, "task %s: %s", t.ID, diff)
	}
}

// cancelled enters an acknowledged cancel.
func (l *ledger) cancelled(e *entry, t task.Task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.cancelled = true
	l.figures["acknowledged cancels"]++
	l.checkCancelledLocked(t)
}

// forgetting notes that a forget is asked for, or (false) that it was refused; forgotten that it was done.
func (l *ledger) forgetting(e *entry, asked bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.forgetting = asked
}

func (l *ledger) forgotten(e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.forgotten = true
	l.figures["forgotten"]++
}

// known is what the book said of a task before a list was taken: the list may be older than the book is by
// the time it is read.
type known struct{ gone, sure, ended, cancelled bool }

func (l *ledger) known() map[task.ID]known {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[task.ID]known, len(l.byID))
	for id, e := range l.byID {
		all[id] = known{gone: e.forgotten, sure: !e.forgetting, ended: e.end != nil, cancelled: e.cancelled}
	}
	return all
}

// audit lists all tasks and holds them against the book.
func (l *ledger) audit(ctx context.Context, svc task.Service) (map[task.ID]task.Task, error) {
	before := l.known()
	tasks, err := listAll(ctx, svc)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.figures["audits"]++
	for id, k := range before {
		t, there := tasks[id]
		switch {
		case k.gone && there:
			l.breachLocked(breachReturned, "task %s", id)
		case k.sure && !there && !l.byID[id].forgetting:
			l.breachLocked(breachLost, "task %s", id)
		case there && k.ended && !t.Status.Terminal():
			l.breachLocked(breachChanged, "task %s had ended and is %s", id, t.Status)
		case there && k.cancelled:
			l.checkCancelledLocked(t)
		}
	}
	l.matchLocked(tasks)
	return tasks, nil
}

// matchLocked finds the submit that each task came from: there is one, and it made no other task.
func (l *ledger) matchLocked(tasks map[task.ID]task.Task) {
	made := map[string]task.ID{} // by what asked for it: a key, or the task that it repeats
	for _, id := range slices.Sorted(maps.Keys(tasks)) {
		t := tasks[id]
		cause := t.Labels[labelKey]
		if _, ok := l.entries[task.Key(cause)]; !ok {
			l.breachLocked(breachUnknown, "task %s, key %q", id, cause)
		}
		if t.RetryOf != "" {
			cause = "retry of " + string(t.RetryOf) // each task of the load is repeated under one key at most
		}
		if other, twice := made[cause]; twice {
			l.breachLocked(breachDoubled, "%s: task %s and task %s", cause, other, id)
		}
		made[cause] = id
		if e := l.byID[id]; e != nil && t.Status.Terminal() {
			l.compareLocked(e, t)
		}
	}
}

// listAll returns all tasks, page by page.
func listAll(ctx context.Context, svc task.Service) (map[task.ID]task.Task, error) {
	tasks := map[task.ID]task.Task{}
	q := task.ListQuery{Limit: task.MaxLimit}
	for {
		page, err := svc.List(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, t := range page.Tasks {
			tasks[t.ID] = t
		}
		if q.Cursor = page.NextCursor; q.Cursor == "" {
			return tasks, nil
		}
	}
}

// all returns every entry.
func (l *ledger) all() []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Values(l.entries))
}

// report fails the test for every breach, and prints the figures.
func (l *ledger) report(t testing.TB) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, kind := range breachKinds {
		found := l.breaches[kind]
		t.Logf("%6d %s", len(found), kind)
		for _, text := range found[:min(len(found), 5)] {
			t.Errorf("%s: %s", kind, text)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.figures)) {
		t.Logf("%6d %s", l.figures[name], name)
	}
}
