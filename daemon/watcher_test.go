package daemon_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"durable/daemon/job/noop"
	"durable/ipc/client"
	"durable/ipc/task"
)

// watcher follows the events of a daemon from the first one on, over all its deaths, as a subscriber of the
// MCP server does: it must hear of each end, once the daemon is back, and of nothing twice.
type watcher struct {
	ledger *ledger
	client *client.Client
	cancel context.CancelFunc
	done   chan struct{}

	mu       sync.Mutex
	cursors  map[task.Cursor]bool
	seen     map[task.ID]*watched
	sentinel chan struct{} // closed when the sentinel's end was seen
}

type watched struct {
	submitted, removed bool
	end                task.Status
}

// sentinelTitle marks the last task of a house: events come in order, so who has seen its end has seen all.
const sentinelTitle = "sentinel"

func watch(ctx context.Context, dir string, l *ledger) *watcher {
	w := &watcher{
		ledger: l, client: dial(dir, client.Options{DialRetry: client.Forever, Reconnect: client.Forever}),
		done: make(chan struct{}), cursors: map[task.Cursor]bool{}, seen: map[task.ID]*watched{}, sentinel: make(chan struct{}),
	}
	ctx, w.cancel = context.WithCancel(ctx)
	go func() {
		defer close(w.done)
		w.follow(ctx)
	}()
	return w
}

// follow reads until the sentinel's end, or until ctx is done.
func (w *watcher) follow(ctx context.Context) {
	stream, err := w.client.Events(ctx, task.EventQuery{After: task.CursorStart, Follow: true})
	if err != nil {
		w.ledger.breach(breachEvents, "open the stream: %v", err)
		return
	}
	defer func() { _ = stream.Close() }()
	for {
		ev, err := stream.Next()
		if err != nil {
			w.ledger.breach(breachEvents, "the stream ended: %v", err)
			return
		}
		if w.take(ev) {
			return
		}
	}
}

// take enters one event and reports whether it was the last.
func (w *watcher) take(ev task.Event) (last bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ev.Cursor != "" {
		if w.cursors[ev.Cursor] {
			w.ledger.breach(breachEvents, "event %s came twice", ev.Cursor)
		}
		w.cursors[ev.Cursor] = true
	}
	if ev.TaskID == "" || ev.Task == nil {
		return false
	}
	t := w.seen[ev.TaskID]
	if t == nil {
		t = &watched{}
		w.seen[ev.TaskID] = t
	}
	switch {
	case !t.submitted && ev.Type != task.EventSubmitted:
		w.ledger.breach(breachEvents, "task %s: the first event is %s", ev.TaskID, ev.Type)
	case t.removed:
		w.ledger.breach(breachEvents, "task %s: %s after removed", ev.TaskID, ev.Type)
	case t.end != "" && ev.Task.Status != t.end:
		w.ledger.breach(breachEvents, "task %s: %s says %s, and it had ended %s", ev.TaskID, ev.Type, ev.Task.Status, t.end)
	}
	t.submitted = true
	t.removed = t.removed || ev.Type == task.EventRemoved
	if ev.Task.Status.Terminal() {
		t.end = ev.Task.Status
	}
	if t.end != "" && ev.Task.Title == sentinelTitle {
		close(w.sentinel)
		return true
	}
	return false
}

// finish waits until everything that has happened so far was seen.
func (w *watcher) finish(t *testing.T, svc task.Service, params noop.Params) {
	t.Helper()
	defer closeClient(w.client)
	e := w.ledger.plan(&entry{spec: task.Spec{Kind: noop.Name, Title: sentinelTitle, Params: mustJSON(params)}})
	last, err := svc.Submit(t.Context(), e.spec, e.key)
	if err != nil {
		t.Fatal(err)
	}
	w.ledger.submitted(e, last.ID)
	if last, err = svc.Wait(t.Context(), last.ID.Ref(), patience); err != nil || !last.Status.Terminal() {
		t.Fatalf("the sentinel is %s: %v", last.Status, err)
	}
	w.ledger.see(e, last)
	select {
	case <-w.sentinel:
	case <-time.After(patience):
		t.Errorf("the watcher has not seen the sentinel after %s", patience)
	}
	w.cancel()
	<-w.done
	w.ledger.count("events watched", len(w.cursors))
}

// check: what the watcher saw is what there is.
func (w *watcher) check(tasks map[task.ID]task.Task) {
	for id, t := range tasks {
		saw := w.seen[id]
		switch {
		case saw == nil:
			w.ledger.breach(breachEvents, "task %s: no event", id)
		case saw.end != t.Status || saw.removed:
			w.ledger.breach(breachEvents, "task %s is %s; events say %+v", id, t.Status, *saw)
		}
	}
}
