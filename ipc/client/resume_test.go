package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"durable/ipc/client"
	"durable/ipc/task"
)

// TestSubmitWhoseReplyIsLost: the task is accepted, the answer never arrives; the repetition must not
// make a second one.
func TestSubmitWhoseReplyIsLost(t *testing.T) {
	m := newMemory()
	d := serve(t, m)
	c := d.client(client.Options{})
	for _, key := range []task.Key{"", "mine"} {
		d.dropReplies.Store(2)
		got, err := c.Submit(within(t), task.Spec{Kind: "noop"}, key)
		if err != nil {
			t.Fatal(err)
		}
		if want := m.tasks[len(m.tasks)-1]; got.ID != want.ID {
			t.Errorf("key %q: task %s, want %s", key, got.ID, want.ID)
		}
	}
	if len(m.tasks) != 2 {
		t.Errorf("%d tasks, want 2", len(m.tasks))
	}
}

// TestWhatIsNotSafeIsNotRepeated: a backup whose answer is lost may be there; only the caller can tell.
func TestWhatIsNotSafeIsNotRepeated(t *testing.T) {
	e := &echo{}
	d := serve(t, e)
	d.dropReplies.Store(1)
	_, err := d.client(client.Options{}).Backup(within(t), task.BackupRequest{Path: "/b"})
	var got *task.Error
	if !errors.As(err, &got) || got.Code != task.Unavailable || got.Details[task.DetailOutcome] != "unknown" || got.Hint == "" {
		t.Errorf("%+v, want unavailable, outcome unknown", err)
	}
	if args, _ := e.last(); args == nil {
		t.Error("the request did not arrive: the test shows nothing")
	}
}

// TestForgetWhoseReplyIsLost finds nothing the second time, which is what was asked for.
func TestForgetWhoseReplyIsLost(t *testing.T) {
	m := newMemory()
	d := serve(t, m)
	c := d.client(client.Options{})
	made, err := c.Submit(within(t), task.Spec{Kind: "noop"}, "")
	if err != nil {
		t.Fatal(err)
	}
	d.dropDeletes.Store(1)
	if err := c.Forget(within(t), made.ID.Ref()); err != nil {
		t.Error(err)
	}
	if err := c.Forget(within(t), made.ID.Ref()); !errors.Is(err, task.NotFound) {
		t.Errorf("a second time: %v, want not_found", err)
	}
}

func TestSubmitWaitsForTheDaemon(t *testing.T) {
	m := newMemory()
	d := newDaemon(t, m)
	c := d.client(client.Options{Start: func(context.Context) error {
		d.up() // comes up while the first dial has failed already
		return nil
	}})
	if _, err := c.Submit(within(t), task.Spec{Kind: "noop"}, ""); err != nil {
		t.Fatal(err)
	}
}

func TestWaitSurvivesRestarts(t *testing.T) {
	m := newMemory()
	d := serve(t, m)
	c := d.client(client.Options{})
	ctx := within(t)
	if _, err := c.Submit(ctx, task.Spec{Kind: "noop"}, ""); err != nil {
		t.Fatal(err)
	}
	type answer struct {
		task.Task
		err error
	}
	got := make(chan answer)
	go func() {
		v, err := c.Wait(ctx, task.RefLast, time.Hour)
		got <- answer{v, err}
	}()
	for range 3 {
		<-m.entered
		d.kill()
		d.up()
	}
	<-m.entered
	d.kill()
	// A newer task, so that "@last" is another one now, and the end while nobody serves.
	if _, err := m.Submit(ctx, task.Spec{Kind: "noop"}, "other"); err != nil {
		t.Fatal(err)
	}
	m.finish(1)
	d.up()
	a := <-got
	if a.err != nil || a.Number != 1 || a.Status != task.StatusCompleted {
		t.Errorf("%d %s %v, want 1 completed", a.Number, a.Status, a.err)
	}
}

func TestWaitTimesOutTruthfully(t *testing.T) {
	m := newMemory()
	c := serve(t, m).client(client.Options{})
	made, err := c.Submit(within(t), task.Spec{Kind: "noop"}, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, timeout := range []time.Duration{-1, 0, time.Millisecond} {
		got, err := c.Wait(within(t), made.ID.Ref(), timeout)
		if err != nil || got.Status != task.StatusPending {
			t.Errorf("%s: %s %v", timeout, got.Status, err)
		}
	}
}

// TestListThenWatch: what happens between the list and the watch, and while the daemon is away, is
// told once.
func TestListThenWatch(t *testing.T) {
	for _, after := range []string{"list", "now"} {
		t.Run(after, func(t *testing.T) {
			m := newMemory()
			d := serve(t, m)
			c := d.client(client.Options{})
			ctx := within(t)
			submit := func(n int) {
				for range n {
					if _, err := m.Submit(ctx, task.Spec{Kind: "noop"}, task.Key(fmt.Sprint(len(m.tasks)))); err != nil {
						t.Fatal(err)
					}
				}
			}
			submit(3)
			q := task.EventQuery{Follow: true}
			first := uint64(4)
			if after == "list" {
				list, err := c.List(ctx, task.ListQuery{})
				if err != nil {
					t.Fatal(err)
				}
				q.After = list.Cursor
				submit(2) // in the gap
			}
			s, err := c.Events(ctx, q)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if after == "now" {
				// No event has come yet, so no cursor of one: the place is kept all the same.
				<-m.entered
				d.kill()
				submit(2)
				d.up()
			}
			var got, want []uint64
			next := first
			for round := range 4 {
				for range 2 {
					e, err := s.Next()
					if err != nil {
						t.Fatal(err)
					}
					got, want = append(got, e.Task.Number), append(want, next)
					next++
				}
				if round < 3 {
					d.kill()
					submit(2)
					d.up()
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEventsThatDoNotFollowEnd(t *testing.T) {
	m := newMemory()
	c := serve(t, m).client(client.Options{})
	for range 100 {
		if _, err := c.Submit(within(t), task.Spec{Kind: "noop"}, ""); err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.Events(within(t), task.EventQuery{After: task.CursorStart})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for n := range 100 {
		if e, err := s.Next(); err != nil || e.Task.Number != uint64(n+1) {
			t.Fatalf("event %d: %+v %v", n, e.Task, err)
		}
	}
	for range 2 {
		if _, err := s.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("%v, want EOF", err)
		}
	}
}

func TestCursorThatIsGone(t *testing.T) {
	c := serve(t, newMemory()).client(client.Options{})
	_, err := c.Events(within(t), task.EventQuery{After: "x.1", Follow: true})
	if e := task.AsError(err); !errors.Is(err, task.OutOfRange) || e.Details["first"] != "e.1" {
		t.Errorf("%v, want out_of_range with the first that is left", err)
	}
}

func TestCloseEndsWhatBlocks(t *testing.T) {
	m := newMemory()
	c := serve(t, m).client(client.Options{})
	ctx := within(t)
	s, err := c.Events(ctx, task.EventQuery{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	log, err := c.Log(ctx, "1", task.LogQuery{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	go func() { _, err := s.Next(); ended <- err }()
	go func() { _, err := log.Body.Read(make([]byte, 10)); ended <- err }()
	s.Close()
	log.Body.Close()
	for range 2 {
		if err := <-ended; err == nil {
			t.Error("no error")
		}
	}
}

func TestLogFollowsOverRestarts(t *testing.T) {
	m := newMemory()
	d := serve(t, m)
	c := d.client(client.Options{})
	m.write("before\nfirst\n")
	log, err := c.Log(within(t), "1", task.LogQuery{Follow: true, Tail: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Body.Close()
	want := "first\n"
	buf := make([]byte, 1000)
	var got strings.Builder
	read := func() {
		for got.Len() < len(want) {
			n, err := log.Body.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			got.Write(buf[:n])
		}
	}
	for round := range 3 {
		read()
		d.kill()
		line := fmt.Sprintf("line %d, while nobody served\n", round)
		m.write(line)
		want += line
		d.up()
	}
	read()
	offset := int64(len("before\n") + strings.LastIndex(want, "line"))
	if diff := cmp.Diff(task.LogQuery{Stream: "log", Attempt: 3, Offset: offset, Follow: true}, m.asked); diff != "" {
		t.Errorf("the last question: %s", diff)
	}
	m.end()
	if _, err := log.Body.Read(buf); err != io.EOF {
		t.Errorf("%v, want EOF: the attempt has ended", err)
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
}

// TestLogEndsWhereAHoleBegan: while nobody served, what came next was dropped. The offsets stay true: a new question
// learns where the log goes on.
func TestLogEndsWhereAHoleBegan(t *testing.T) {
	m := newMemory()
	d := serve(t, m)
	c := d.client(client.Options{})
	m.write("before\n")
	log, err := c.Log(within(t), "1", task.LogQuery{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Body.Close()
	buf := make([]byte, 1000)
	if n, err := log.Body.Read(buf); string(buf[:n]) != "before\n" {
		t.Fatalf("%q, %v", buf[:n], err)
	}
	d.kill()
	m.write("dropped\nafter\n")
	m.change(func() { m.hole = int64(len("before\ndropped\n")) })
	d.up()
	for range 2 {
		if n, err := log.Body.Read(buf); n != 0 || err != io.EOF {
			t.Errorf("%q, %v; want EOF", buf[:n], err)
		}
	}
	again, err := c.Log(within(t), "1", task.LogQuery{Stream: log.Stream, Attempt: log.Attempt, Offset: int64(len("before\n")), Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Body.Close()
	if n, err := again.Body.Read(buf); again.Offset != m.hole || string(buf[:n]) != "after\n" {
		t.Errorf("at %d: %q, %v", again.Offset, buf[:n], err)
	}
}
