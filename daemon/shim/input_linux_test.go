package shim_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"durable/daemon/shim"
	"durable/ipc/task"
)

func (b *bed) input(offset int64, text string, end bool) (task.StdinState, error) {
	return shim.Input(b.dir, task.StdinRequest{Offset: offset, Data: strings.NewReader(text), Close: end}, 1<<20)
}

func TestInput(t *testing.T) {
	b := newBed(t, "cat")
	b.spec.Stdin = shim.StdinOpen
	if s, err := b.input(0, "before\n", false); err != nil || s.Offset != 7 { // the program is still to come
		t.Fatal(s, err)
	}
	p := b.start()
	says := func(want string) {
		t.Helper()
		b.eventually("it says "+want, func() bool { return string(b.read("stdout")) == want })
	}
	says("before\n")
	for _, c := range []struct {
		offset int64
		text   string
		end    bool
		want   task.StdinState
		err    error
		says   string
	}{
		{7, "one\n", false, task.StdinState{Offset: 11}, nil, "before\none\n"},
		{7, "one\n", false, task.StdinState{Offset: 11}, nil, "before\none\n"},
		{7, "one\ntwo\n", false, task.StdinState{Offset: 15}, nil, "before\none\ntwo\n"},
		{7, "eno\n", false, task.StdinState{Offset: 15}, task.Conflict, "before\none\ntwo\n"},
		{16, "x", false, task.StdinState{Offset: 15}, task.OutOfRange, "before\none\ntwo\n"},
		{0, "", false, task.StdinState{Offset: 15}, nil, "before\none\ntwo\n"},
		{15, strings.Repeat("x", 1<<20-14), false, task.StdinState{Offset: 15}, task.ResourceExhausted, "before\none\ntwo\n"},
		{15, "end", true, task.StdinState{Offset: 18, Closed: true}, nil, "before\none\ntwo\nend"},
	} {
		s, err := b.input(c.offset, c.text, c.end)
		if s != c.want || (c.err == nil) != (err == nil) || !errors.Is(err, c.err) {
			t.Errorf("%.20q at %d: %+v, %v", c.text, c.offset, s, err)
		}
		says(c.says)
	}
	if e := b.wait(p); e.Code != 0 {
		t.Errorf("got %+v", e)
	}
	if _, err := b.input(18, "more", false); !errors.Is(err, task.FailedPrecondition) {
		t.Errorf("after its end: %v", err)
	}
}

// gone is what is left to read of an attempt that has ended.
type gone struct{ err error }

func (g gone) Read([]byte) (int, error) { return 0, g.err }

// TestInputSaysWhyItBrokeOff: an error that says what it is stays that, hint and all.
func TestInputSaysWhyItBrokeOff(t *testing.T) {
	b := newBed(t, "cat")
	why := task.Errorf(task.FailedPrecondition, "attempt 1 of task 18 has ended").WithHint("durablectl status 18")
	_, err := shim.Input(b.dir, task.StdinRequest{Data: gone{why}}, 1<<20)
	if got := task.AsError(err); got.Code != why.Code || got.Message != why.Message || got.Hint != why.Hint {
		t.Errorf("got %s: %s (%s)", got.Code, got.Message, got.Hint)
	}
	if _, err := shim.Input(b.dir, task.StdinRequest{Data: gone{errors.New("cut off")}}, 1<<20); !errors.Is(err, task.InvalidArgument) {
		t.Errorf("got %v", err)
	}
}

func TestInputAfterClose(t *testing.T) {
	b := newBed(t, "exec sleep 1000")
	b.spec.Stdin = shim.StdinOpen
	p := b.start()
	for range 2 {
		if s, err := b.input(0, "all", true); err != nil || !s.Closed || s.Offset != 3 {
			t.Errorf("got %+v, %v", s, err)
		}
	}
	if _, err := b.input(3, "more", false); !errors.Is(err, task.FailedPrecondition) {
		t.Errorf("got %v", err)
	}
	if err := p.Stop(0); err != nil {
		t.Fatal(err)
	}
	b.wait(p)
}

// TestInputNotRead: more than a pipe holds, for a program that reads late or never, holds up nobody.
func TestInputNotRead(t *testing.T) {
	big := strings.Repeat("0123456789abcde\n", 20000)
	b := newBed(t, "read x < go; cat")
	b.spec.Stdin = shim.StdinOpen
	if err := mkfifo(filepath.Join(b.dir, "go")); err != nil {
		t.Fatal(err)
	}
	p := b.start()
	if s, err := b.input(0, big, true); err != nil || !s.Closed {
		t.Fatal(s, err)
	}
	b.write("go", "\n")
	if e := b.wait(p); e.Code != 0 || string(b.read("stdout")) != big {
		t.Errorf("got %+v and %d bytes", e, len(b.read("stdout")))
	}
	for _, script := range []string{"exec sleep 1000", "exec <&-; exec sleep 1000"} {
		b = newBed(t, script)
		b.spec.Stdin = shim.StdinOpen
		p = b.start()
		if _, err := b.input(0, big, false); err != nil {
			t.Fatal(err)
		}
		if err := p.Stop(0); err != nil {
			t.Fatal(err)
		}
		if e := b.wait(p); e.Signal == "" {
			t.Errorf("got %+v", e)
		}
	}
}

func TestInputOfOthers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(file, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	for stdin, want := range map[string]string{"": "", file: "from a file"} {
		b := newBed(t, "cat; exec sleep 1000")
		b.spec.Stdin = stdin
		p := b.start()
		b.eventually("it has read", func() bool { return string(b.read("stdout")) == want })
		if _, err := b.input(0, "x", false); !errors.Is(err, task.FailedPrecondition) || task.AsError(err).Hint == "" {
			t.Errorf("got %v", err)
		}
		if err := p.Stop(0); err != nil {
			t.Fatal(err)
		}
		b.wait(p)
	}
}
