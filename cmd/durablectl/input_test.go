package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"durable/cmd/durablectl/internal/render"
	"durable/ipc/task"
)

// inputCLI is a command line on a fake with one running program.
func inputCLI(t *testing.T) (*cli, *fake) {
	f := newFake(t.TempDir())
	f.add(task.Task{Kind: "command", Status: task.StatusRunning, Phase: task.PhaseRunning})
	return &cli{out: io.Discard, err: io.Discard, now: time.Now, svc: f}, f
}

// TestInputIsRepeated: answers are lost, as when the daemon is killed after it has written; every byte arrives once.
func TestInputIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := inputCLI(t)
		f.lose = 5
		want := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
		if err := c.stdin(t.Context(), "1", bytes.NewReader(want), true); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(f.input[1], want) || !f.closed[1] || f.lose != 0 {
			t.Errorf("%d bytes arrived, want %d; closed %t", len(f.input[1]), len(want), f.closed[1])
		}
	})
}

// TestInputGivesUp: a daemon that does not come back is an error, in bounded time; what is wrong is told at once.
func TestInputGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := inputCLI(t)
		f.lose = 1 << 20
		begun := time.Now()
		c.svc = lossy{f}
		if err := c.stdin(t.Context(), "1", strings.NewReader("x"), false); !unreachable(err) {
			t.Errorf("%v", err)
		}
		if took := time.Since(begun); took < inputPatience || took > inputPatience+time.Second {
			t.Errorf("gave up after %s", took)
		}
		c.svc = f
		f.lose = 0
		broken := iotest.ErrReader(errors.New("the disk is gone"))
		if err := c.stdin(t.Context(), "1", broken, true); err == nil || f.closed[1] {
			t.Errorf("half an input passes for all of it: %v, closed %t", err, f.closed[1])
		}
	})
}

// lossy answers nothing that brings bytes.
type lossy struct{ *fake }

func (l lossy) Stdin(ctx context.Context, ref task.Ref, req task.StdinRequest) (task.StdinState, error) {
	if b, _ := io.ReadAll(req.Data); len(b) > 0 {
		return task.StdinState{}, task.Errorf(task.Unavailable, "the daemon is gone")
	}
	req.Data = strings.NewReader("")
	return l.fake.Stdin(ctx, ref, req)
}

// TestInputOfTwo: one that is written to by somebody else is not taken for one that repeats itself.
func TestInputOfTwo(t *testing.T) {
	c, f := inputCLI(t)
	other := readerFunc(func(p []byte) (int, error) {
		f.update(func() { f.input[1] = append(f.input[1], "theirs"...) })
		return copy(p, "my own words\n"), nil
	})
	err := c.stdin(t.Context(), "1", io.LimitReader(other, 13), false)
	if !errors.Is(err, task.Conflict) || string(f.input[1]) != "theirs" {
		t.Errorf("%v, and the input is %q", err, f.input[1])
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestWithPolicy(t *testing.T) {
	for _, c := range []struct{ before, after string }{
		{"", "[policy]\ncommands = \"ask\"\n"},
		{"[policy]\n", "[policy]\ncommands = \"ask\"\n"},
		{"a = 1", "a = 1\n\n[policy]\ncommands = \"ask\"\n"},
		{"[policy]\ncommands = \"deny\"\n[kinds.x]\ncommands = \"y\"\n", "[policy]\ncommands = \"ask\"\n[kinds.x]\ncommands = \"y\"\n"},
		{"[kinds.x]\ncommands = \"y\"\n", "[kinds.x]\ncommands = \"y\"\n\n[policy]\ncommands = \"ask\"\n"},
		{"[policy]\r\nfolders = []\r\n", "[policy]\r\ncommands = \"ask\"\r\nfolders = []\r\n"},
		{"[policy]\nprograms = [\n \"a\",\n]\ncommands = \"allow\" # x\n", "[policy]\nprograms = [\n \"a\",\n]\ncommands = \"ask\" # x\n"},
		// What looks like the setting and is none, or is it in another way: not touched.
		{"policy.commands = \"list\"\n", ""},
		{"policy = {commands = \"list\"}\n", ""},
		{"[policy]\n\"commands\" = \"list\"\n", ""},
		{"[policy]\ncommands = \"\"\"list\"\"\"\n", ""},
		{"x = '''\n[policy]\ncommands = \"list\"\n'''\n", ""},
		{"[policy\n", ""},
	} {
		got, err := withPolicy(c.before, "ask")
		if got != c.after || (err == nil) != (c.after != "") {
			t.Errorf("%q\n got %q, %v\nwant %q", c.before, got, err, c.after)
		}
	}
}

func TestDays(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": 0, "30d": 720 * time.Hour, "1d12h": 36 * time.Hour, "90m": 90 * time.Minute,
		"d": -1, "30": -1, "-1d": -1, "1d-2d": -1, "0d": -1, "1dx": -1, "99999999999d": -1,
	} {
		got, err := days("--older-than", text)
		if want < 0 && err == nil || want >= 0 && (err != nil || time.Duration(got) != want) {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
}

// TestStdinInterrupted: what has arrived by then is told, and that the program still waits for more.
func TestStdinInterrupted(t *testing.T) {
	f := newFake(t.TempDir())
	f.add(task.Task{Kind: "command", Status: task.StatusRunning, Phase: task.PhaseRunning})
	var notes bytes.Buffer
	c := &cli{svc: f, out: io.Discard, err: &notes, errScreen: render.Screen{Width: 80}, now: time.Now}
	ctx, interrupt := context.WithCancel(t.Context())
	from, to := io.Pipe()
	defer to.Close()
	go func() {
		_, _ = to.Write([]byte("yes\n")) // has been read when it returns
		_ = f.until(ctx, func() bool { return len(f.input[1]) == 4 })
		interrupt()
	}()
	if err := c.stdin(ctx, "1", from, true); err != exit(exitInterrupted) {
		t.Errorf("got %v", err)
	}
	if got := notes.String(); got != "\n1 took 4 bytes; its input stays open\n" {
		t.Errorf("got %q", got)
	}
}
