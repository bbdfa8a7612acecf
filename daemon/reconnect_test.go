package daemon_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"durable/daemon/job/noop"
	"durable/ipc/client"
	"durable/ipc/task"
)

// TestClientSurvives: to the user of one client a daemon that is restarted or killed is a short delay. A
// stream, a long wait and calls all the time go through a restart and two SIGKILLs; none of them fails, and
// the stream has every event once.
func TestClientSurvives(t *testing.T) {
	dir := shortDir(t)
	p := start(t, dir, "").up()
	c := dial(dir, client.Options{DialRetry: patience, Reconnect: patience})
	defer closeClient(c)
	stream, err := c.Events(t.Context(), task.EventQuery{Follow: true})
	must(t, err)
	defer func() { _ = stream.Close() }()
	gate := filepath.Join(t.TempDir(), "gate")
	made, err := c.Submit(t.Context(), noopSpec(noop.Params{Steps: 40, Checkpoint: true, Gate: gate}), "")
	must(t, err)

	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer stop()
	group.Go(func() {
		if done, err := c.Wait(t.Context(), made.ID.Ref(), 5*patience); err != nil || done.Status != task.StatusCompleted {
			t.Errorf("the long wait: %s %v", done.Status, err)
		}
	})
	calls := 0
	group.Go(func() {
		for ctx.Err() == nil {
			if _, err := c.List(t.Context(), task.ListQuery{Limit: 1}); err != nil {
				t.Errorf("list: %v", err)
			}
			if _, err := c.Submit(t.Context(), noopFor(0), ""); err != nil {
				t.Errorf("submit: %v", err)
			}
			calls += 2
		}
	})

	own := &follower{t: t, stream: stream, id: made.ID, cursors: map[task.Cursor]bool{}}
	for _, end := range []func(*process){
		func(p *process) { p.stop(dir) },
		(*process).kill,
		(*process).kill,
	} {
		own.until(task.EventCheckpoint)
		end(p)
		p = start(t, dir, "").up()
	}
	touch(t, gate)
	own.until(task.EventStatus)
	for !own.last.Task.Status.Terminal() {
		own.until(task.EventStatus)
	}
	done, err := c.Get(t.Context(), made.ID.Ref())
	if err != nil || done.Status != task.StatusCompleted || done.Attempt != 4 {
		t.Errorf("task: %s, attempt %d, %v; want the 4th to complete", done.Status, done.Attempt, err)
	}
	if n := count(own.types, task.EventStarted); n != 4 {
		t.Errorf("%d attempts in the events, want 4: %v", n, own.types)
	}
	if n := count(own.types, task.EventCheckpoint); n != 40 {
		t.Errorf("%d checkpoints in the events, want 40", n)
	}
	stop()
	group.Wait()
	t.Logf("%d calls, none failed", calls)
	p.stop(dir)
}

func count(types []task.EventType, want task.EventType) (n int) {
	for _, got := range types {
		if got == want {
			n++
		}
	}
	return n
}

// follower reads one task's events out of a stream.
type follower struct {
	t       *testing.T
	stream  task.EventStream
	id      task.ID
	cursors map[task.Cursor]bool
	types   []task.EventType
	last    task.Event
}

// until reads to the next event of that type.
func (f *follower) until(want task.EventType) {
	f.t.Helper()
	timeout := time.AfterFunc(patience, func() { _ = f.stream.Close() })
	defer timeout.Stop()
	for {
		ev, err := f.stream.Next()
		if err != nil {
			f.t.Fatalf("stream: %v, after %v", err, f.types[max(0, len(f.types)-5):])
		}
		if ev.Cursor != "" && f.cursors[ev.Cursor] {
			f.t.Errorf("event %s came twice", ev.Cursor)
		}
		f.cursors[ev.Cursor] = true
		if ev.TaskID != f.id {
			continue
		}
		f.types, f.last = append(f.types, ev.Type), ev
		if ev.Type == want {
			return
		}
	}
}
