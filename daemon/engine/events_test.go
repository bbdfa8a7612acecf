package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"durable/daemon/engine"
	"durable/daemon/job"
	"durable/ipc/task"
)

func TestListThenWatchMissesNothing(t *testing.T) {
	h := newHouse(t, ok).up()
	ctx := t.Context()
	for range 20 {
		h.submit(task.Spec{Kind: "ok"})
	}
	list, err := h.List(ctx, task.ListQuery{})
	if err != nil {
		t.Fatal(err)
	}
	state := map[task.ID]task.Status{}
	for _, tk := range list.Tasks {
		state[tk.ID] = tk.Status
	}
	for range 20 {
		h.submit(task.Spec{Kind: "ok"})
	}
	s, err := h.Events(ctx, task.EventQuery{After: list.Cursor, Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	last := ""
	for completed(state) < 40 {
		ev, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		if ev.Cursor != "" {
			if string(ev.Cursor) == last {
				t.Fatalf("cursor %s came twice", last)
			}
			last = string(ev.Cursor)
		}
		if ev.Task != nil {
			state[ev.TaskID] = ev.Task.Status
		}
	}
}

func completed(state map[task.ID]task.Status) (n int) {
	for _, s := range state {
		if s == task.StatusCompleted {
			n++
		}
	}
	return n
}

func TestEventsOfOneTaskInOrder(t *testing.T) {
	h := newHouse(t, script{name: "k", run: func(_ context.Context, j *job.Context) (any, error) {
		j.Progress(task.Progress{Done: 1, Total: task.Total(2), Message: "half"})
		if err := j.Checkpoint(mark{1}); err != nil {
			return nil, err
		}
		return nil, nil
	}}).up()
	h.wait(h.submit(task.Spec{Kind: "k"}).ID)
	other := h.wait(h.submit(task.Spec{Kind: "k"}).ID)
	s, err := h.Events(t.Context(), task.EventQuery{After: task.CursorStart, Task: other.ID.Ref()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var got []string
	for {
		ev, err := s.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if ev.TaskID != other.ID {
			t.Errorf("an event of task %s", ev.TaskID)
		}
		got = append(got, fmt.Sprintf("%s:%s", ev.Type, ev.Task.Status))
	}
	want := "submitted:pending started:running checkpoint:running status:completed"
	if strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestEventsOfOneType(t *testing.T) {
	h := newHouse(t, script{name: "k", run: func(_ context.Context, j *job.Context) (any, error) {
		j.Progress(task.Progress{Done: 1})
		return nil, j.Checkpoint(mark{1})
	}}).up()
	s, err := h.Events(t.Context(), task.EventQuery{Type: task.EventStatus, Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 3 {
		done := h.wait(h.submit(task.Spec{Kind: "k"}).ID)
		ev, err := s.Next()
		if err != nil || ev.Type != task.EventStatus || ev.TaskID != done.ID || ev.Task.Status != task.StatusCompleted {
			t.Errorf("got %+v, %v, want the end of task %d", ev, err, done.Number)
		}
	}
}

func TestProgressIsSeenAtOnceAndStoredWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reported, release := make(chan struct{}), make(chan struct{})
		h := newHouse(t, script{name: "k", run: func(_ context.Context, j *job.Context) (any, error) {
			j.Progress(task.Progress{Done: 0, Total: task.Total(100)})
			time.Sleep(2 * time.Second)
			j.Progress(task.Progress{Done: 50, Total: task.Total(100), Unit: "records", Message: "half"})
			reported <- struct{}{}
			<-release
			return nil, nil
		}}).up()
		defer h.down()
		id := h.submit(task.Spec{Kind: "k"}).ID
		<-reported
		got := h.get(id).Progress
		if got.Done != 50 || got.Message != "half" || got.Rate != 25 || got.ETA == nil || *got.ETA != task.Duration(2*time.Second) {
			t.Errorf("at once: %+v", got)
		}
		before := h.store.Info().Commits
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		if n := h.store.Info().Commits - before; n != 1 {
			t.Errorf("%d commits for the progress of a second, want 1", n)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := h.store.Info().Commits - before; n != 1 {
			t.Errorf("%d commits in an hour without news, want none but the 1", n)
		}
		close(release)
		if end := h.wait(id); end.Progress.Done != 50 || end.Progress.ETA != nil {
			t.Errorf("the ending lost the progress: %+v", end.Progress)
		}
	})
}

func TestSlowReaderGetsTheLatestProgressAndEveryCommit(t *testing.T) {
	const reports = 1000
	done := make(chan struct{})
	h := newHouse(t, script{name: "k", run: func(_ context.Context, j *job.Context) (any, error) {
		for i := range reports {
			j.Progress(task.Progress{Done: int64(i + 1)})
		}
		close(done)
		return nil, nil
	}}).up()
	s, err := h.Events(t.Context(), task.EventQuery{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id := h.submit(task.Spec{Kind: "k"}).ID
	<-done
	h.wait(id)
	n := 0
	for {
		ev, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		n++
		if ev.Task != nil && ev.Task.Status.Terminal() {
			if ev.Task.Progress.Done != reports {
				t.Errorf("the last event tells of %d", ev.Task.Progress.Done)
			}
			break
		}
	}
	if n > 20 {
		t.Errorf("%d events were kept for a reader who slept", n)
	}
}

func TestStreamsEnd(t *testing.T) {
	h := newHouse(t, ok).up()
	s, err := h.Events(t.Context(), task.EventQuery{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error, 2)
	go func() { _, err := s.Next(); got <- err }()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; !errors.Is(err, io.EOF) {
		t.Errorf("a closed stream ends with %v", err)
	}
	s, err = h.Events(t.Context(), task.EventQuery{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, err := s.Next(); got <- err }()
	h.down()
	if err := <-got; !errors.Is(err, task.Unavailable) {
		t.Errorf("a stream of a daemon that leaves ends with %v", err)
	}
	s.Close()
}

func TestBadCursors(t *testing.T) {
	h := newHouse(t, ok).up()
	for cursor, code := range map[task.Cursor]task.Code{"nonsense": task.InvalidArgument, "ffffffffffffffff.1": task.OutOfRange} {
		_, err := h.Events(t.Context(), task.EventQuery{After: cursor})
		if !errors.Is(err, code) && !errors.Is(err, task.OutOfRange) {
			t.Errorf("cursor %q: %v", cursor, err)
		}
	}
	_, err := h.Events(t.Context(), task.EventQuery{Task: "4711"})
	wantCode(t, err, task.NotFound)
}

func TestLogs(t *testing.T) {
	said, release := make(chan struct{}), make(chan struct{})
	h := newHouse(t, script{name: "k", run: func(_ context.Context, j *job.Context) (any, error) {
		for i := range 5 {
			j.Logf("line %d", i+1)
		}
		said <- struct{}{}
		<-release
		j.Logf("last")
		return nil, nil
	}}).up()
	ctx := t.Context()
	id := h.submit(task.Spec{Kind: "k"}).ID
	<-said
	follow, err := h.Log(ctx, id.Ref(), task.LogQuery{Follow: true, Tail: 2})
	if err != nil {
		t.Fatal(err)
	}
	tail, err := h.Log(ctx, id.Ref(), task.LogQuery{Tail: 2})
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, tail); got != "line 4\nline 5\n" || tail.Ended || tail.Offset != 21 || tail.Size != 35 {
		t.Errorf("tail %q at %d of %d, ended %v", got, tail.Offset, tail.Size, tail.Ended)
	}
	part, err := h.Log(ctx, id.Ref(), task.LogQuery{Offset: 28})
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, part); got != "line 5\n" {
		t.Errorf("from 28: %q", got)
	}
	_, err = h.Log(ctx, id.Ref(), task.LogQuery{Offset: 1000})
	wantCode(t, err, task.OutOfRange)
	_, err = h.Log(ctx, id.Ref(), task.LogQuery{Attempt: 2})
	wantCode(t, err, task.NotFound)
	_, err = h.Log(ctx, id.Ref(), task.LogQuery{Stream: "stdout"})
	wantCode(t, err, task.NotFound)
	close(release)
	if got := readAll(t, follow); got != "line 4\nline 5\nlast\n" {
		t.Errorf("followed %q", got)
	}
	h.wait(id)
	if l, err := h.Log(ctx, id.Ref(), task.LogQuery{Tail: 1}); err != nil || !l.Ended || readAll(t, l) != "last\n" {
		t.Errorf("after the end: %+v, %v", l, err)
	}
}

func TestArtifactsStayInTheirFolder(t *testing.T) {
	h := newHouse(t, script{name: "k", run: func(_ context.Context, j *job.Context) (any, error) {
		dir, err := j.ArtifactsDir()
		if err != nil {
			return nil, err
		}
		return nil, writeFile(dir, "out.txt", "result")
	}}).up()
	ctx := t.Context()
	id := h.wait(h.submit(task.Spec{Kind: "k"}).ID).ID
	list, err := h.Artifacts(ctx, id.Ref())
	if err != nil || len(list) != 1 || list[0].Name != "out.txt" || list[0].Size != 6 {
		t.Fatalf("artifacts %+v, %v", list, err)
	}
	_, body, err := h.OpenArtifact(ctx, id.Ref(), "out.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, task.Log{Body: body}); got != "result" {
		t.Errorf("artifact %q", got)
	}
	for _, name := range []string{"../work", "/etc/passwd", "nope", "", ".", "../../../etc/passwd"} {
		_, _, err := h.OpenArtifact(ctx, id.Ref(), name)
		wantCode(t, err, task.NotFound)
	}
}

// TestTheLogOfAnEndedTaskHasEnded looks in the moment between the commit of an ending and the end of its slot.
func TestTheLogOfAnEndedTaskHasEnded(t *testing.T) {
	h := newHouse(t, script{name: "k", run: func(_ context.Context, j *job.Context) (any, error) {
		j.Logf("hello")
		return nil, nil
	}})
	var id task.ID
	looked := make(chan task.Log, 1)
	h.hook = func(point string) {
		if point != "finish.committed" {
			return
		}
		l, err := h.Log(t.Context(), id.Ref(), task.LogQuery{})
		if err != nil {
			t.Error(err)
		}
		looked <- l
	}
	h.up()
	if _, err := h.Drain(t.Context(), task.DrainRequest{}); err != nil {
		t.Fatal(err)
	}
	id = h.submit(task.Spec{Kind: "k"}).ID
	if _, err := h.Drain(t.Context(), task.DrainRequest{Resume: true}); err != nil {
		t.Fatal(err)
	}
	l := <-looked
	if !l.Ended || readAll(t, l) != "hello\n" {
		t.Errorf("log of a task whose end is committed: %+v", l)
	}
}

// TestProgressComesAfterTheStartOfItsAttempt lets a task begin and report in the moment after a stream has
// found nothing in the journal.
func TestProgressComesAfterTheStartOfItsAttempt(t *testing.T) {
	reported, release := make(chan struct{}), make(chan struct{})
	h := newHouse(t, script{name: "k", run: func(_ context.Context, j *job.Context) (any, error) {
		j.Progress(task.Progress{Done: 1})
		close(reported)
		<-release
		return nil, nil
	}}).up()
	s, err := h.Events(t.Context(), task.EventQuery{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	once := sync.OnceFunc(func() {
		h.submit(task.Spec{Kind: "k"})
		<-reported
	})
	engine.AfterRead(s, once)
	for _, want := range []task.EventType{task.EventSubmitted, task.EventStarted, task.EventProgress} {
		ev, err := s.Next()
		for err == nil && ev.Type == task.EventDaemon {
			ev, err = s.Next()
		}
		if err != nil || ev.Type != want {
			t.Errorf("got %s, %v; want %s", ev.Type, err, want)
		}
	}
	close(release)
}

// TestAStreamOfOneTaskNeverHoldsReportsOfAnother, not even those made while it is being opened. Run with -race.
func TestAStreamOfOneTaskNeverHoldsReportsOfAnother(t *testing.T) {
	const opened = 200
	busy, release := make(chan struct{}), make(chan struct{})
	h := newHouse(t, script{name: "busy", run: func(_ context.Context, j *job.Context) (any, error) {
		close(busy)
		for n := int64(1); ; n++ {
			select {
			case <-release:
				return nil, nil
			default:
				j.Progress(task.Progress{Done: n})
			}
		}
	}}, script{name: "quiet", run: func(context.Context, *job.Context) (any, error) {
		<-release
		return nil, nil
	}}).up()
	h.submit(task.Spec{Kind: "busy"})
	<-busy
	quiet := h.submit(task.Spec{Kind: "quiet"}).ID
	streams := make([]task.EventStream, opened)
	for i := range streams {
		s, err := h.Events(t.Context(), task.EventQuery{Task: quiet.Ref(), Follow: true})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		streams[i] = s
	}
	close(release)
	for _, s := range streams {
		for {
			ev, err := s.Next()
			if err != nil {
				t.Fatal(err)
			}
			if ev.TaskID != quiet {
				t.Fatalf("%s of another task: %+v", ev.Type, ev.Task)
			}
			if ev.Task.Status.Terminal() {
				break
			}
		}
	}
}

// TestALaggingStream: what was committed while it held events back is told before the engine leaves.
func TestALaggingStream(t *testing.T) {
	h := newHouse(t, script{name: "k", run: func(context.Context, *job.Context) (any, error) { return nil, nil }}).up()
	s, err := h.Events(t.Context(), task.EventQuery{Follow: true, Lag: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	looked := make(chan struct{}, 1)
	engine.AfterRead(s, func() {
		select {
		case looked <- struct{}{}:
		default:
		}
	})
	types := make(chan task.EventType, 100)
	go func() {
		defer close(types)
		for {
			ev, err := s.Next()
			if err != nil {
				return
			}
			types <- ev.Type
		}
	}()
	<-looked // it has seen that there is nothing yet
	made := h.submit(task.Spec{Kind: "k"})
	h.wait(made.ID)
	select {
	case typ := <-types:
		t.Errorf("%s was not held back", typ)
	default:
	}
	h.stop()
	var got []task.EventType
	for typ := range types {
		got = append(got, typ)
	}
	if !slices.Contains(got, task.EventSubmitted) || !slices.Contains(got, task.EventStatus) {
		t.Errorf("told at the end: %v", got)
	}
	if err := <-h.ended; err != nil {
		t.Error(err)
	}
	h.stop = nil
	h.close()
}
