package logs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"durable/ipc/logs"
	"durable/ipc/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is one attempt's output.
type service struct {
	task.UnimplementedService

	mu      sync.Mutex
	streams map[string]*stream
	main    string
	ended   bool
	changed chan struct{}
	asked   int
}

type stream struct {
	b        []byte
	from, to int64 // the hole
}

// newService has streams as given, the main one first: name, text, name, text...
func newService(pairs ...string) *service {
	s := &service{streams: map[string]*stream{}, main: pairs[0], changed: make(chan struct{})}
	for i := 0; i < len(pairs); i += 2 {
		s.streams[pairs[i]] = &stream{b: []byte(pairs[i+1])}
	}
	return s
}

func (s *service) change(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *service) write(name, text string) {
	s.change(func() { s.streams[name].b = append(s.streams[name].b, text...) })
}

func (s *service) drop(name string, from, to int64) {
	s.change(func() { s.streams[name].from, s.streams[name].to = from, to })
}

func (s *service) end() { s.change(func() { s.ended = true }) }

func (s *service) Log(ctx context.Context, _ task.Ref, q task.LogQuery) (task.Log, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if q.Stream == "" {
		q.Stream = s.main
	}
	st := s.streams[q.Stream]
	if st == nil {
		return task.Log{}, task.Errorf(task.NotFound, "no stream %q", q.Stream)
	}
	size := int64(len(st.b))
	at := q.Offset
	if q.Tail > 0 {
		all := bytes.SplitAfter(bytes.TrimSuffix(st.b, []byte("\n")), []byte("\n"))
		for _, line := range all[:max(0, len(all)-q.Tail)] {
			at += int64(len(line))
		}
		at = max(at, st.to)
	}
	if at > size {
		return task.Log{}, task.Errorf(task.OutOfRange, "offset %d", at)
	}
	if at >= st.from && at < st.to {
		at = st.to
	}
	return task.Log{Stream: q.Stream, Attempt: 1, Offset: at, Size: size, Ended: s.ended,
		Body: &body{s: s, st: st, ctx: ctx, at: at, end: size, follow: q.Follow && !s.ended}}, nil
}

type body struct {
	s       *service
	st      *stream
	ctx     context.Context
	at, end int64
	follow  bool
}

func (b *body) Read(p []byte) (int, error) {
	for {
		b.s.mu.Lock()
		changed, ended := b.s.changed, b.s.ended
		end := b.end
		if b.follow {
			end = int64(len(b.st.b))
		}
		gone := b.at >= b.st.from && b.at < b.st.to
		if b.at < b.st.from {
			end = min(end, b.st.from)
		}
		n := 0
		if !gone && b.at < end {
			n = copy(p, b.st.b[b.at:end])
			b.at += int64(n)
		}
		gone = gone || b.at == b.st.from && b.st.to > 0
		b.s.mu.Unlock()
		switch {
		case n > 0:
			return n, nil
		case gone || ended || !b.follow:
			return 0, io.EOF
		}
		select {
		case <-changed:
		case <-b.ctx.Done():
			return 0, b.ctx.Err()
		}
	}
}

func (b *body) Close() error { return nil }

func open(t *testing.T, s task.Service, o logs.Options) *logs.Reader {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	r, err := logs.Open(ctx, s, "1", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// all returns what r has, markers in place of holes.
func all(t *testing.T, r *logs.Reader) string {
	t.Helper()
	var out strings.Builder
	for {
		l, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		if l.Hole {
			out.WriteString(l.Marker())
		}
		out.Write(l.Text)
	}
}

// command is two streams with times: a second per pair of lines.
func command() *service {
	s := newService("stdout", "", "stderr", "", "stdout.times", "", "stderr.times", "", "log", "a note\n")
	mark := func(name string, second int) {
		s.write(name+".times", fmt.Sprintf("%d 2026-11-24T12:00:%02dZ\n", len(s.streams[name].b), second))
	}
	for second := range 4 {
		s.write("stderr", fmt.Sprintf("err %d\n", second))
		s.write("stdout", fmt.Sprintf("out %da\nout %db\n", second, second))
		mark("stdout", second)
		mark("stderr", second)
	}
	return s
}

const merged = "out 0a\nout 0b\nerr 0\nout 1a\nout 1b\nerr 1\nout 2a\nout 2b\nerr 2\nout 3a\nout 3b\nerr 3\n"

func last(text string, n int) string {
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(lines[max(0, len(lines)-1-n):], "")
}

func TestRead(t *testing.T) {
	const plain = "one\ntwo\nthree"
	tests := []struct {
		name string
		s    *service
		o    logs.Options
		want string
	}{
		{"one stream", newService("log", plain), logs.Options{}, plain},
		{"nothing", newService("log", ""), logs.Options{}, ""},
		{"tail", newService("log", plain), logs.Options{Tail: 2}, "two\nthree"},
		{"offset", newService("log", plain), logs.Options{Offset: 4}, "two\nthree"},
		{"grep", newService("log", plain), logs.Options{Grep: regexp.MustCompile("^t")}, "two\nthree"},
		{"grep to the end of a line", newService("log", plain), logs.Options{Grep: regexp.MustCompile("o$")}, "two\n"},
		{"last match", newService("log", plain), logs.Options{Grep: regexp.MustCompile("o"), Tail: 1}, "two\n"},
		{"last bytes", newService("log", plain), logs.Options{Tail: 9, TailBytes: 6}, "three"},
		{"last bytes of one long line", newService("log", strings.Repeat("x", 100)), logs.Options{Tail: 9, TailBytes: 6}, "xxxxxx"},
		{"merged", command(), logs.Options{}, merged},
		{"merged tail", command(), logs.Options{Tail: 4}, last(merged, 4)},
		{"merged grep", command(), logs.Options{Grep: regexp.MustCompile("[13]b|err")}, "err 0\nout 1b\nerr 1\nerr 2\nout 3b\nerr 3\n"},
		{"one of two", command(), logs.Options{Stream: "stderr"}, "err 0\nerr 1\nerr 2\nerr 3\n"},
		{"the engine's own", command(), logs.Options{Stream: "log"}, "a note\n"},
		{"no times", newService("stdout", "a\n", "stderr", "b\n"), logs.Options{}, "a\nb\n"},
		{"only stdout", newService("stdout", "a\n"), logs.Options{}, "a\n"},
		{"long lines", newService("log", strings.Repeat("é", 50)+"\n"), logs.Options{MaxLine: 7}, strings.Repeat("é", 50) + "\n"},
		{"long lines, tail", newService("log", "a\n"+strings.Repeat("é", 50)+"\n"), logs.Options{MaxLine: 7, Tail: 1, TailBytes: 1000},
			strings.Repeat("é", 50) + "\n"},
		{"raw", newService("log", "\x1b[31mred\x1b[0m\r\n\x00\xff"), logs.Options{}, "\x1b[31mred\x1b[0m\r\n\x00\xff"},
		{"plain", newService("log", "\x1b[31mred\x1b[0m\r\n\x00\xff"), logs.Options{Plain: true}, "red\n␀\uFFFD"},
		{"progress", newService("stdout", strings.Repeat(" 10%\r", 100_000)+"done\nnext\n"), logs.Options{Plain: true, MaxLine: 1000}, "done\nnext\n"},
	}
	for _, tt := range tests {
		for _, ended := range []bool{false, true} {
			tt.s.ended = ended
			if got := all(t, open(t, tt.s, tt.o)); got != tt.want {
				t.Errorf("%s (ended %t): %.300q, want %.300q", tt.name, ended, got, tt.want)
			}
			if ended {
				o := tt.o
				o.Follow = true
				if got := all(t, open(t, tt.s, o)); got != tt.want {
					t.Errorf("%s, followed after the end: %.300q, want %.300q", tt.name, got, tt.want)
				}
			}
		}
	}
}

func TestHole(t *testing.T) {
	s := newService("log", "")
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, "line %04d\n", i)
	}
	s.write("log", text.String())
	s.drop("log", 25, 9970)
	const marker = "--- 9.7 KiB of log left out here: the log has outgrown its limit ---\n"
	want := "line 0000\nline 0001\nline " + marker + "line 0997\nline 0998\nline 0999\n"
	if got := all(t, open(t, s, logs.Options{})); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := all(t, open(t, s, logs.Options{Offset: 100})), marker[:0]+"--- 9.6 KiB"+marker[len("--- 9.7 KiB"):]+"line 0997\nline 0998\nline 0999\n"; got != want {
		t.Errorf("from inside: %q, want %q", got, want)
	}
	if got := all(t, open(t, s, logs.Options{Tail: 100})); got != "line 0997\nline 0998\nline 0999\n" {
		t.Errorf("tail over the hole: %q", got)
	}
	if got := all(t, open(t, s, logs.Options{Grep: regexp.MustCompile("1$|7$")})); got != "line 0001\nline 0997\n" {
		t.Errorf("grep over the hole: %q", got)
	}
}

// next wants a line from r.
func next(t *testing.T, r *logs.Reader, want string) logs.Line {
	t.Helper()
	l, err := r.Next()
	got := string(l.Text)
	if l.Hole {
		got = l.Marker()
	}
	if err != nil || got != want {
		t.Fatalf("line %q, %v; want %q", got, err, want)
	}
	return l
}

// TestFollowFromNow: nothing of what was there, of neither stream.
func TestFollowFromNow(t *testing.T) {
	s := command()
	r := open(t, s, logs.Options{Follow: true, FromNow: true})
	if !r.Waits() {
		t.Error("there is something to read")
	}
	s.write("stdout", "out\n")
	next(t, r, "out\n")
	s.write("stderr", "err\n")
	if l := next(t, r, "err\n"); l.Stream != "stderr" {
		t.Errorf("line %+v", l)
	}
	s.end()
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("%v, want EOF", err)
	}
	if got := all(t, open(t, s, logs.Options{Follow: true, FromNow: true})); got != "" {
		t.Errorf("after the end: %q", got)
	}
}

func TestFollow(t *testing.T) {
	s := command()
	s.write("stdout", "half ")
	r := open(t, s, logs.Options{Follow: true, Tail: 2})
	next(t, r, "out 3b\n")
	next(t, r, "err 3\n")
	s.write("stdout", "a line\n")
	l := next(t, r, "half a line\n")
	if l.Offset != int64(len("out 0a\nout 0b\n")*4) || l.Time.IsZero() {
		t.Errorf("line %+v", l)
	}
	s.write("stderr", "password: ") // and waits
	if l := next(t, r, "password: "); l.Part {
		t.Errorf("line %+v", l)
	}
	s.write("stdout", "meanwhile\n")
	next(t, r, "meanwhile\n")
	s.write("stderr", "thanks\n")
	if l := next(t, r, "thanks\n"); !l.Part || l.Stream != "stderr" {
		t.Errorf("line %+v", l)
	}
	// The hole takes what was not read yet.
	size := int64(len(s.streams["stdout"].b))
	s.change(func() {
		st := s.streams["stdout"]
		st.b = append(st.b, strings.Repeat("x", 5000)+"\nlast\n"...)
		st.from, st.to = size, size+5001
	})
	next(t, r, "--- 4.9 KiB of stdout left out here: the log has outgrown its limit ---\n")
	next(t, r, "last\n")
	s.write("stderr", "no end")
	s.end()
	next(t, r, "no end")
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("%v, want EOF", err)
	}
}

func TestFollowEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	r, err := logs.Open(ctx, command(), "1", logs.Options{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	why := errors.New("enough")
	time.AfterFunc(10*time.Millisecond, func() { cancel(why) })
	for err == nil {
		_, err = r.Next()
	}
	if !errors.Is(err, why) && !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}

func TestCopyIsExact(t *testing.T) {
	text := "\x00\xff\r\n\x1b[31m half"
	s := newService("stdout", text)
	log, err := s.Log(t.Context(), "1", task.LogQuery{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	var holes []logs.Line
	done := make(chan error)
	go func() {
		done <- logs.Copy(t.Context(), &out, s, "1", log, true, func(l logs.Line) { holes = append(holes, l) })
	}()
	s.change(func() {
		st := s.streams["stdout"]
		st.b = append(st.b, "dropped, and the end"...)
		st.from, st.to = int64(len(text)), int64(len(text)+len("dropped, "))
	})
	s.end()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != text+"and the end" || len(holes) != 1 || holes[0].End-holes[0].Offset != 9 {
		t.Errorf("copied %q, holes %+v", got, holes)
	}
}
