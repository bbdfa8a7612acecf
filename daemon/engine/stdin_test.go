package engine_test

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"durable/daemon/engine"
	"durable/ipc/task"
)

func piece(offset int64, text string) task.StdinRequest {
	return task.StdinRequest{Offset: offset, Data: strings.NewReader(text)}
}

func TestStdin(t *testing.T) {
	h, w := newWorldHouse(t)
	h.up()
	id := h.submit(task.Spec{Kind: "p"}).ID
	p := h.watched(w)
	for _, tt := range []struct {
		req  task.StdinRequest
		want task.StdinState
	}{
		{piece(0, "one\n"), task.StdinState{Offset: 4}},
		{piece(0, "one\n"), task.StdinState{Offset: 4}}, // said again
		{piece(2, "e\ntwo\n"), task.StdinState{Offset: 8}},
		{piece(task.StdinAtEnd, "end"), task.StdinState{Offset: 11}},
		{task.StdinRequest{Offset: 11, Close: true}, task.StdinState{Offset: 11, Closed: true}},
	} {
		if got, err := h.Stdin(t.Context(), id.Ref(), tt.req); err != nil || got != tt.want {
			t.Errorf("offset %d: %+v, %v; want %+v", tt.req.Offset, got, err, tt.want)
		}
	}
	if string(p.input) != "one\ntwo\nend" {
		t.Errorf("input %q", p.input)
	}
	_, err := h.Stdin(t.Context(), id.Ref(), piece(12, "x"))
	wantCode(t, err, task.OutOfRange)
	_, err = h.Stdin(t.Context(), "77", piece(0, "x"))
	wantCode(t, err, task.NotFound)
}

// TestStdinOfWhatTakesNone: each with an error of its own.
func TestStdinOfWhatTakesNone(t *testing.T) {
	k, running, release := hold("k")
	w := newWorld()
	h := newHouse(t, k, survivor{"p", w})
	h.slots = 2
	h.up()
	held := h.submit(task.Spec{Kind: "k"}).ID
	<-running
	program := h.submit(task.Spec{Kind: "p"}).ID
	p := h.watched(w)
	queued := h.submit(task.Spec{Kind: "p"}).ID
	try := func(id task.ID, code task.Code, text string) {
		t.Helper()
		_, err := h.Stdin(t.Context(), id.Ref(), piece(0, "x"))
		wantCode(t, err, code)
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("error %v, want one with %q", err, text)
		}
	}
	try(held, task.Unimplemented, "kind k")
	try(queued, task.FailedPrecondition, "takes no input yet")
	w.end(p, nil)
	h.wait(program)
	try(program, task.FailedPrecondition, "it is completed")
	close(release)
	h.watched(w)
	h.down()
	if len(p.input) > 0 {
		t.Errorf("input %q", p.input)
	}
}

func TestStdinHasALimit(t *testing.T) {
	h, w := newWorldHouse(t)
	h.up()
	id := h.submit(task.Spec{Kind: "p"}).ID
	p := h.watched(w)
	zeros := io.LimitReader(zero{}, engine.MaxInput)
	if got, err := h.Stdin(t.Context(), id.Ref(), task.StdinRequest{Data: zeros}); err != nil || got.Offset != engine.MaxInput {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, offset := range []int64{0, engine.MaxInput - 1, engine.MaxInput} {
		_, err := h.Stdin(t.Context(), id.Ref(), task.StdinRequest{Offset: offset, Data: io.LimitReader(zero{}, engine.MaxInput+1-offset)})
		wantCode(t, err, task.ResourceExhausted)
	}
	if len(p.input) != engine.MaxInput {
		t.Errorf("%d bytes", len(p.input))
	}
	if got, err := h.Stdin(t.Context(), id.Ref(), task.StdinRequest{Offset: engine.MaxInput, Close: true}); err != nil || !got.Closed {
		t.Errorf("closing a full input: %+v, %v", got, err)
	}
}

type zero struct{}

func (zero) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// TestStdinTakesOnePieceAtATime: the same piece from many callers is taken once.
func TestStdinTakesOnePieceAtATime(t *testing.T) {
	h, w := newWorldHouse(t)
	h.up()
	id := h.submit(task.Spec{Kind: "p"}).ID
	p := h.watched(w)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for n := range int64(10) {
				if _, err := h.Stdin(t.Context(), id.Ref(), piece(2*n, fmt.Sprintf("%d\n", n))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if want := "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n"; string(p.input) != want {
		t.Errorf("input %q", p.input)
	}
}

// TestStdinEndsWithItsAttempt: who still sends is told.
func TestStdinEndsWithItsAttempt(t *testing.T) {
	h, w := newWorldHouse(t)
	h.up()
	id := h.submit(task.Spec{Kind: "p"}).ID
	p := h.watched(w)
	r, send := io.Pipe()
	answers := make(chan error, 2)
	go func() {
		_, err := h.Stdin(t.Context(), id.Ref(), task.StdinRequest{Data: r})
		_ = r.Close() // nobody reads the rest
		answers <- err
	}()
	if _, err := send.Write([]byte("x")); err != nil { // it is being read
		t.Fatal(err)
	}
	go func() { // and this one waits for its turn
		_, err := h.Stdin(t.Context(), id.Ref(), piece(0, "y"))
		answers <- err
	}()
	w.end(p, nil)
	h.wait(id)
	wantCode(t, <-answers, task.FailedPrecondition)
	_, _ = send.Write([]byte("x"))
	_ = send.Close()
	wantCode(t, <-answers, task.FailedPrecondition)
}
