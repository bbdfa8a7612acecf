package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"durable/ipc/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tasks is a service that has events and tasks, and nothing else.
type tasks struct {
	task.Service
	events chan task.Event
	closed chan struct{}
	once   sync.Once

	mu    sync.Mutex
	known map[task.ID]task.Task
	gets  int
}

func newTasks() *tasks {
	return &tasks{events: make(chan task.Event), closed: make(chan struct{}), known: map[task.ID]task.Task{}}
}

func (s *tasks) Events(context.Context, task.EventQuery) (task.EventStream, error) { return s, nil }

func (s *tasks) Next() (task.Event, error) {
	select {
	case ev, ok := <-s.events:
		if !ok {
			return task.Event{}, task.Errorf(task.Unavailable, "the daemon leaves")
		}
		return ev, nil
	case <-s.closed:
		return task.Event{}, io.EOF
	}
}

func (s *tasks) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

func (s *tasks) Get(_ context.Context, ref task.Ref) (task.Task, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gets++
	t, ok := s.known[task.ID(ref)]
	if !ok {
		return t, task.Errorf(task.NotFound, "no task %s", ref)
	}
	return t, nil
}

// end lets a task end that ran for that long.
func (s *tasks) end(id task.ID, status task.Status, took time.Duration) {
	t := ended(status, took, func(t *task.Task) { t.ID, t.Title = id, string(id) })
	s.mu.Lock()
	s.known[id] = t
	s.mu.Unlock()
	s.events <- task.Event{Type: task.EventStatus, Time: *t.CompletedAt, TaskID: id, Task: t.Summary()}
}

// screen is where notes are shown.
type screen struct {
	notes chan Note
	hangs chan struct{} // while it is not closed, nothing is shown
	err   error
}

func (s *screen) show(ctx context.Context, note Note) error {
	if s.hangs != nil {
		select {
		case <-s.hangs:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.notes <- note
	return s.err
}

// start runs a Notifier for the length of a test.
func start(t *testing.T, s *tasks, scr *screen, after func() (time.Duration, bool)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	n, err := Open(ctx, Options{Tasks: s, After: after, Show: scr.show, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		n.Run(ctx)
	}()
	return func() { cancel(); <-ran }
}

func minute() (time.Duration, bool) { return time.Minute, true }

func TestEndingsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, scr := newTasks(), &screen{notes: make(chan Note, 10), err: errors.New("it was shown all the same")}
		stop := start(t, s, scr, minute)
		defer stop()
		s.events <- task.Event{Type: task.EventDaemon}
		s.events <- task.Event{Type: task.EventProgress, TaskID: "a", Task: &task.Summary{Status: task.StatusRunning}}
		s.end("short", task.StatusCompleted, time.Second)
		s.end("long", task.StatusCompleted, time.Hour)
		s.end("bad", task.StatusFailed, time.Hour)
		s.events <- task.Event{Type: task.EventStatus, TaskID: "forgotten", Task: &task.Summary{Status: task.StatusFailed}}
		synctest.Wait()
		for _, want := range []string{"Done: long", "Failed: bad"} {
			if got := (<-scr.notes).Title; got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
		if len(scr.notes) > 0 {
			t.Errorf("one more: %+v", <-scr.notes)
		}
	})
}

// TestYoungTasksAreNotRead: of thousands of short ones a second, none is looked up.
func TestYoungTasksAreNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, scr := newTasks(), &screen{notes: make(chan Note, 10)}
		stop := start(t, s, scr, minute)
		id := task.ID(uuid.Must(uuid.NewV7()).String())
		event := func(at time.Time) task.Event {
			return task.Event{Type: task.EventStatus, Time: at, TaskID: id, Task: &task.Summary{Status: task.StatusCompleted}}
		}
		now := time.Now()
		s.events <- event(now.Add(59 * time.Second))
		s.events <- event(now.Add(61 * time.Second))
		stop()
		if s.gets != 1 {
			t.Errorf("%d tasks were read, want the old one", s.gets)
		}
	})
}

func TestOffIsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		on := false
		s, scr := newTasks(), &screen{notes: make(chan Note, 10)}
		stop := start(t, s, scr, func() (time.Duration, bool) { return 0, on })
		s.end("a", task.StatusCompleted, time.Hour)
		synctest.Wait()
		on = true // a reload
		s.end("b", task.StatusCompleted, time.Second)
		synctest.Wait()
		stop()
		if len(scr.notes) != 1 || (<-scr.notes).Title != "Done: b" {
			t.Error("not what was switched on")
		}
	})
}

// TestASlowDesktopHoldsNothingUp: endings go on, what waits is one note, and what is too much is dropped.
func TestASlowDesktopHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, scr := newTasks(), &screen{notes: make(chan Note, 10), hangs: make(chan struct{})}
		stop := start(t, s, scr, minute)
		defer stop()
		s.end("first", task.StatusCompleted, time.Hour)
		synctest.Wait()
		began := time.Now()
		for i := range 2 * queueLen {
			s.end(task.ID(fmt.Sprint(i)), task.StatusCompleted, time.Hour)
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("the stream was held up for %v", waited)
		}
		time.Sleep(patience / 2)
		close(scr.hangs)
		synctest.Wait()
		if got := (<-scr.notes).Title; got != "Done: first" {
			t.Error(got)
		}
		if got, want := (<-scr.notes).Title, fmt.Sprintf("%d tasks have ended", queueLen); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// TestADesktopThatHangs is given up after a while, and keeps nobody from leaving.
func TestADesktopThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, scr := newTasks(), &screen{notes: make(chan Note, 10), hangs: make(chan struct{})}
		stop := start(t, s, scr, minute)
		s.end("a", task.StatusCompleted, time.Hour)
		time.Sleep(patience + time.Second)
		s.end("b", task.StatusCompleted, time.Hour)
		synctest.Wait()
		began := time.Now()
		stop()
		if waited := time.Since(began); waited != 0 || len(scr.notes) > 0 {
			t.Errorf("%v, %d notes", waited, len(scr.notes))
		}
	})
}

// TestTheEndOfTheStream ends it.
func TestTheEndOfTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, scr := newTasks(), &screen{}
		n, err := Open(t.Context(), Options{Tasks: s, After: minute, Show: scr.show, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		close(s.events)
		n.Run(t.Context())
	})
}
