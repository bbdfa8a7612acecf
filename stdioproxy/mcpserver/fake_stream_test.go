package mcpserver_test

import (
	"context"
	"io"
	"slices"

	"durable/ipc/task"
)

func (f *fake) Events(_ context.Context, q task.EventQuery) (task.EventStream, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.eventCalls++
	if err := f.upLocked(); err != nil {
		return nil, err
	}
	s := &fakeStream{f: f, ready: make(chan struct{}, 1)}
	if q.Task != "" {
		t, err := f.getLocked(q.Task)
		if err != nil {
			return nil, err
		}
		s.task = t.ID
	}
	if q.After != "" {
		i := slices.IndexFunc(f.journal, func(e task.Event) bool { return e.Cursor == q.After })
		s.queue = slices.Clone(f.journal[i+1:])
		if len(s.queue) > 0 {
			s.ready <- struct{}{}
		}
	}
	f.streams[s] = true
	return s, nil
}

// open is how many streams there are.
func (f *fake) open() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.streams)
}

type fakeStream struct {
	f     *fake
	task  task.ID
	queue []task.Event
	err   error
	ready chan struct{}
}

func (s *fakeStream) pushLocked(ev task.Event) {
	s.queue = append(s.queue, ev)
	s.signalLocked()
}

func (s *fakeStream) failLocked(err error) {
	if s.err == nil {
		s.err = err
	}
	delete(s.f.streams, s)
	s.signalLocked()
}

func (s *fakeStream) signalLocked() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

func (s *fakeStream) Next() (task.Event, error) {
	for {
		s.f.mu.Lock()
		if len(s.queue) > 0 {
			ev := s.queue[0]
			s.queue = s.queue[1:]
			s.f.mu.Unlock()
			return ev, nil
		}
		err := s.err
		s.f.mu.Unlock()
		if err != nil {
			return task.Event{}, err
		}
		<-s.ready
	}
}

func (s *fakeStream) Close() error {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	s.failLocked(io.ErrClosedPipe)
	return nil
}
