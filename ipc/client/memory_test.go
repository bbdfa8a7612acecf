package client_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"durable/ipc/task"
)

// memory is a Service that keeps tasks, keys, a journal and one log in memory. It outlives the servers
// in front of it, as a store outlives its daemon.
type memory struct {
	task.UnimplementedService
	entered chan string // names the calls that now block; buffered

	mu      sync.Mutex
	changed chan struct{} // closed at each change
	tasks   []task.Task
	keys    map[task.Key]task.ID
	journal []task.Event
	log     bytes.Buffer
	asked   task.LogQuery // the last one
	ended   bool
	hole    int64 // what lies before it is gone
}

func newMemory() *memory {
	return &memory{entered: make(chan string, 1000), changed: make(chan struct{}), keys: map[task.Key]task.ID{}}
}

// change runs f and wakes who waits.
func (m *memory) change(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *memory) cursorLocked() task.Cursor {
	return task.Cursor("e." + strconv.Itoa(len(m.journal)))
}

func (m *memory) recordLocked(typ task.EventType, t task.Task) {
	m.journal = append(m.journal, task.Event{Type: typ, TaskID: t.ID, Task: t.Summary()})
	m.journal[len(m.journal)-1].Cursor = m.cursorLocked()
}

func (m *memory) Submit(_ context.Context, spec task.Spec, key task.Key) (t task.Task, err error) {
	m.change(func() {
		if id, ok := m.keys[key]; ok && key != "" {
			t, err = m.findLocked(id.Ref())
			return
		}
		n := uint64(len(m.tasks) + 1)
		t = task.Task{ID: task.ID(fmt.Sprintf("019a0000-0000-7000-8000-%012x", n)), Number: n,
			Kind: spec.Kind, Title: spec.Title, Status: task.StatusPending, Phase: task.PhaseQueued}
		m.tasks = append(m.tasks, t)
		m.keys[key] = t.ID
		m.recordLocked(task.EventSubmitted, t)
	})
	return t, err
}

func (m *memory) findLocked(ref task.Ref) (task.Task, error) {
	for _, t := range m.tasks {
		if t.ID.Ref() == ref || strconv.FormatUint(t.Number, 10) == string(ref) {
			return t, nil
		}
	}
	if ref == task.RefLast && len(m.tasks) > 0 {
		return m.tasks[len(m.tasks)-1], nil
	}
	return task.Task{}, task.Errorf(task.NotFound, "no task %s", ref)
}

func (m *memory) Get(_ context.Context, ref task.Ref) (task.Task, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.findLocked(ref)
}

func (m *memory) List(context.Context, task.ListQuery) (task.TaskList, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return task.TaskList{Tasks: append([]task.Task(nil), m.tasks...), Cursor: m.cursorLocked()}, nil
}

// finish ends task n.
func (m *memory) finish(n int) {
	m.change(func() {
		m.tasks[n-1].Status, m.tasks[n-1].Phase = task.StatusCompleted, task.PhaseNone
		m.recordLocked(task.EventStatus, m.tasks[n-1])
	})
}

func (m *memory) Forget(_ context.Context, ref task.Ref) (err error) {
	m.change(func() {
		for i, t := range m.tasks {
			if t.ID.Ref() == ref {
				m.tasks = append(m.tasks[:i], m.tasks[i+1:]...)
				return
			}
		}
		err = task.Errorf(task.NotFound, "no task %s", ref)
	})
	return err
}

func (m *memory) Wait(ctx context.Context, ref task.Ref, timeout time.Duration) (task.Task, error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	m.entered <- "wait"
	for {
		m.mu.Lock()
		t, err := m.findLocked(ref)
		changed := m.changed
		m.mu.Unlock()
		if err != nil || t.Status.Terminal() {
			return t, err
		}
		select {
		case <-changed:
		case <-timer.C:
			return t, nil
		case <-ctx.Done():
			return task.Task{}, ctx.Err()
		}
	}
}

func (m *memory) Events(ctx context.Context, q task.EventQuery) (task.EventStream, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	after := len(m.journal)
	if q.After == task.CursorStart {
		after = 0
	} else if q.After != "" {
		n, err := strconv.Atoi(strings.TrimPrefix(string(q.After), "e."))
		if err != nil {
			return nil, task.Errorf(task.OutOfRange, "cursor %s: not of this journal", q.After).WithDetail("first", "e.1")
		}
		after = n
	}
	ctx, cancel := context.WithCancel(ctx)
	m.entered <- "events"
	return &memoryStream{m: m, ctx: ctx, cancel: cancel, follow: q.Follow, next: after}, nil
}

type memoryStream struct {
	m      *memory
	ctx    context.Context
	cancel func()
	follow bool
	next   int
}

func (s *memoryStream) Next() (task.Event, error) {
	for {
		s.m.mu.Lock()
		changed := s.m.changed
		if s.next < len(s.m.journal) {
			e := s.m.journal[s.next]
			s.next++
			s.m.mu.Unlock()
			return e, nil
		}
		s.m.mu.Unlock()
		if !s.follow {
			return task.Event{}, io.EOF
		}
		select {
		case <-changed:
		case <-s.ctx.Done():
			return task.Event{}, s.ctx.Err()
		}
	}
}

func (s *memoryStream) Close() error { s.cancel(); return nil }

// write appends to the log; end ends its attempt.
func (m *memory) write(s string) { m.change(func() { m.log.WriteString(s) }) }
func (m *memory) end()           { m.change(func() { m.ended = true }) }

func (m *memory) Log(ctx context.Context, _ task.Ref, q task.LogQuery) (task.Log, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	m.asked = q
	if q.Tail > 0 {
		lines := bytes.SplitAfter(m.log.Bytes(), []byte("\n")) // the last one is empty
		for _, line := range lines[:max(0, len(lines)-1-q.Tail)] {
			q.Offset += int64(len(line))
		}
	}
	q.Offset = max(q.Offset, m.hole)
	m.entered <- "log"
	return task.Log{Stream: task.StreamLog, Attempt: 3, Offset: q.Offset, Size: int64(m.log.Len()), Ended: m.ended,
		Body: &memoryLog{m: m, ctx: ctx, cancel: cancel, follow: q.Follow, at: int(q.Offset)}}, nil
}

type memoryLog struct {
	m      *memory
	ctx    context.Context
	cancel func()
	follow bool
	at     int
}

func (l *memoryLog) Read(p []byte) (int, error) {
	for {
		l.m.mu.Lock()
		changed := l.m.changed
		n := copy(p, l.m.log.Bytes()[l.at:])
		l.at += n
		done := l.m.ended || !l.follow
		l.m.mu.Unlock()
		switch {
		case n > 0:
			return n, nil
		case done:
			return 0, io.EOF
		}
		select {
		case <-changed:
		case <-l.ctx.Done():
			return 0, l.ctx.Err()
		}
	}
}

func (l *memoryLog) Close() error { l.cancel(); return nil }
