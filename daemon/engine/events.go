package engine

import (
	"context"
	"io"
	"sync"
	"time"

	"durable/daemon/store"
	"durable/ipc/task"
)

// hub wakes event streams. The journal in the store is what they read; only progress, which is not
// journalled, passes through here, and of that each stream keeps the latest report of each task: a slow reader
// costs a bounded amount of memory and loses nothing that was committed.
type hub struct {
	closed chan struct{}

	mu      sync.Mutex
	streams map[*stream]struct{}
}

func newHub() *hub {
	return &hub{closed: make(chan struct{}), streams: map[*stream]struct{}{}}
}

func (h *hub) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.streams)
}

func (h *hub) add(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.streams[s] = struct{}{}
}

func (h *hub) remove(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.streams, s)
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-h.closed:
	default:
		close(h.closed)
	}
}

// committed wakes every stream: the journal may have grown.
func (h *hub) committed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.streams {
		s.poke()
	}
}

// progress hands a report to the streams that want it.
func (h *hub) progress(ev task.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.streams {
		if (s.only.Task == "" || s.only.Task == ev.TaskID) && s.only.Type == "" {
			s.offer(ev)
		}
	}
}

// eventBatch is how many events a stream reads from the journal at once.
const eventBatch = 256

// stream implements task.EventStream.
type stream struct {
	e      *Engine
	ctx    context.Context
	only   store.EventFilter
	follow bool
	lag    time.Duration
	wake   chan struct{} // capacity 1
	done   chan struct{}
	once   sync.Once
	after  task.Cursor
	batch  []task.Event
	// report is progress that was taken before the journal was read. It is delivered once a read finds
	// nothing more: what was committed before it, the start of its attempt above all, comes first.
	report *task.Event
	// looked, if set, is called after each read, for tests of what happens in between.
	looked func()

	mu     sync.Mutex
	latest map[task.ID]task.Event // progress not delivered yet
	order  []task.ID              // the tasks in latest, in the order of their first report
}

// Events implements task.Service.
func (e *Engine) Events(ctx context.Context, q task.EventQuery) (task.EventStream, error) {
	if _, err := e.authorise(ctx); err != nil {
		return nil, err
	}
	s := &stream{
		e: e, ctx: ctx, only: store.EventFilter{Type: q.Type}, follow: q.Follow, lag: q.Lag, after: q.After, latest: map[task.ID]task.Event{},
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if q.Task != "" {
		err := e.store.View(func(tx *store.Tx) (err error) {
			s.only.Task, err = tx.Resolve(q.Task)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if q.Follow {
		// Whole by now, since the hub reads it at once; and before the look at the journal, so that nothing
		// falls in between.
		e.hub.add(s)
	}
	err := e.store.View(func(tx *store.Tx) error {
		if s.after == "" {
			var err error
			s.after, err = tx.Cursor()
			return err
		}
		_, err := tx.Events(s.after, 1) // a cursor that is no good is refused here, not in mid-stream
		return err
	})
	if err != nil {
		e.hub.remove(s)
		return nil, err
	}
	s.poke()
	return s, nil
}

func (s *stream) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// offer keeps the latest report of each task.
func (s *stream) offer(ev task.Event) {
	s.mu.Lock()
	if _, waiting := s.latest[ev.TaskID]; !waiting {
		s.order = append(s.order, ev.TaskID)
	}
	s.latest[ev.TaskID] = ev
	s.mu.Unlock()
	s.poke()
}

// Next implements task.EventStream.
func (s *stream) Next() (task.Event, error) {
	for {
		select {
		case <-s.done:
			return task.Event{}, io.EOF
		default:
		}
		if len(s.batch) == 0 {
			if s.report == nil {
				s.report = s.takeProgress()
			}
			if err := s.read(); err != nil {
				return task.Event{}, err
			}
			if s.looked != nil {
				s.looked()
			}
		}
		if len(s.batch) > 0 {
			ev := s.batch[0]
			s.batch = s.batch[1:]
			return ev, nil
		}
		if ev := s.report; ev != nil {
			s.report = nil
			return *ev, nil
		}
		if !s.follow {
			return task.Event{}, io.EOF
		}
		select {
		case <-s.wake:
		case <-s.done:
			return task.Event{}, io.EOF
		case <-s.ctx.Done():
			return task.Event{}, task.Errorf(task.Unavailable, "events: %w", context.Cause(s.ctx))
		case <-s.e.hub.closed:
			return task.Event{}, errLeaving()
		}
		if s.lag > 0 { // who pokes meanwhile wakes nobody
			select {
			case <-time.After(s.lag):
			case <-s.done:
			case <-s.ctx.Done():
			case <-s.e.hub.closed: // what has come until then is still read
			}
		}
	}
}

// read takes the next events from the journal that are wanted.
func (s *stream) read() error {
	for {
		var events []task.Event
		var next task.Cursor
		err := s.e.store.View(func(tx *store.Tx) (err error) {
			events, next, err = tx.EventsOf(s.only, s.after, eventBatch)
			return err
		})
		if err != nil || next == s.after {
			return err
		}
		s.after, s.batch = next, events
		for _, ev := range events {
			if ev.Task != nil && ev.Task.Status != task.StatusRunning {
				s.dropProgress(ev.TaskID, ev.Task.Attempt) // the ending carries the last report
			}
		}
		if len(s.batch) > 0 {
			return nil
		}
	}
}

func (s *stream) takeProgress() *task.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.order) > 0 {
		id := s.order[0]
		s.order = s.order[1:]
		if ev, ok := s.latest[id]; ok {
			delete(s.latest, id)
			return &ev
		}
	}
	return nil
}

// dropProgress forgets what an attempt has reported that is over by now.
func (s *stream) dropProgress(id task.ID, attempt int) {
	if s.report != nil && s.report.TaskID == id && s.report.Task.Attempt <= attempt {
		s.report = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ev, ok := s.latest[id]; ok && ev.Task.Attempt <= attempt {
		delete(s.latest, id)
	}
}

// Close implements task.EventStream.
func (s *stream) Close() error {
	s.once.Do(func() {
		s.e.hub.remove(s)
		close(s.done)
	})
	return nil
}
