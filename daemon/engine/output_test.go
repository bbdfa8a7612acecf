package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"durable/daemon/job"
	"durable/daemon/logfile"
	"durable/ipc/task"
)

// talker is a kind whose attempts write stdout and stderr themselves, past the engine, as programs do.
type talker struct{ script }

func (k talker) Describe() task.KindInfo {
	info := k.script.Describe()
	info.Streams = []string{task.StreamStdout, task.StreamStderr, task.StreamLog}
	return info
}

// talking is the part of one attempt that writes.
type talking struct {
	t   testing.TB
	j   *job.Context
	dir string
	out map[string]*os.File
}

func newProgram(t testing.TB, j *job.Context) *talking {
	dir, err := j.AttemptDir()
	if err != nil {
		t.Error(err)
	}
	return &talking{t: t, j: j, dir: dir, out: map[string]*os.File{}}
}

func (p *talking) write(stream string, b []byte) {
	f := p.out[stream]
	if f == nil {
		var err error
		f, err = os.OpenFile(filepath.Join(p.dir, stream), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			p.t.Error(err)
			return
		}
		p.out[stream] = f
	}
	if _, err := f.Write(b); err != nil {
		p.t.Error(err)
	}
}

func (p *talking) close() {
	for _, f := range p.out {
		if err := f.Close(); err != nil {
			p.t.Error(err)
		}
	}
}

// talk returns a kind whose program does what the test sends it, until the channel is closed.
func talk(t testing.TB) (k talker, tell func(func(*talking)), end func(error)) {
	steps, ends := make(chan func(*talking)), make(chan error)
	k = talker{script{name: "k", run: func(ctx context.Context, j *job.Context) (any, error) {
		p := newProgram(t, j)
		defer p.close()
		for {
			select {
			case step := <-steps:
				step(p)
			case err := <-ends:
				return nil, err
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
	}}}
	tell = func(step func(*talking)) {
		done := make(chan struct{})
		steps <- func(p *talking) { step(p); close(done) }
		<-done
	}
	return k, tell, func(err error) { ends <- err }
}

func say(stream, text string) func(*talking) {
	return func(p *talking) { p.write(stream, []byte(text)) }
}

func (h *house) log(id task.ID, q task.LogQuery) task.Log {
	h.t.Helper()
	l, err := h.Log(h.t.Context(), id.Ref(), q)
	if err != nil {
		h.t.Fatalf("log %+v: %v", q, err)
	}
	return l
}

func TestStreams(t *testing.T) {
	k, tell, end := talk(t)
	h := newHouse(t, k).up()
	id := h.submit(task.Spec{Kind: "k"}).ID
	tell(func(p *talking) {
		p.write("stdout", []byte("one\ntwo\n"))
		p.write("stderr", []byte("bad\n"))
		p.write("stdout.times", []byte("8 2026-11-24T12:00:00Z\n"))
		p.j.Logf("a note")
	})
	follows := map[string]task.Log{}
	for _, stream := range []string{"stdout", "stderr", "log"} {
		follows[stream] = h.log(id, task.LogQuery{Stream: stream, Follow: true})
	}
	for stream, want := range map[string]string{
		"": "one\ntwo\n", "stdout": "one\ntwo\n", "stderr": "bad\n", "stdout.times": "8 2026-11-24T12:00:00Z\n", "stderr.times": "",
	} {
		l := h.log(id, task.LogQuery{Stream: stream})
		if got := readAll(t, l); got != want || l.Ended || l.Size != int64(len(want)) {
			t.Errorf("stream %q: %q, %+v", stream, got, l)
		}
		if l.Stream != stream && (stream != "" || l.Stream != "stdout") {
			t.Errorf("asked for stream %q, got %q", stream, l.Stream)
		}
	}
	for _, stream := range []string{"nope", ".times", "stdout.times.times", "../1/stdout", "stdout.cut"} {
		_, err := h.Log(t.Context(), id.Ref(), task.LogQuery{Stream: stream})
		wantCode(t, err, task.NotFound)
		if hint := task.AsError(err).Hint; !strings.Contains(hint, "stdout, stderr, log") {
			t.Errorf("stream %q: the hint %q does not name the streams", stream, hint)
		}
	}
	tell(say("stdout", "three\n"))
	tell(say("stderr", "worse"))
	tell(func(p *talking) { p.j.Logf("another") })
	end(nil)
	for stream, want := range map[string]string{"stdout": "one\ntwo\nthree\n", "stderr": "bad\nworse"} {
		if got := readAll(t, follows[stream]); got != want {
			t.Errorf("followed %s: %q, want %q", stream, got, want)
		}
	}
	if got := readAll(t, follows["log"]); got != "a note\nanother\n" {
		t.Errorf("followed log: %q", got)
	}
	h.wait(id)
	if l := h.log(id, task.LogQuery{Tail: 1}); !l.Ended || readAll(t, l) != "three\n" {
		t.Errorf("after the end: %+v", l)
	}
}

// TestLastAttemptThatSaidAnything: an attempt that was cut short before its first word does not hide the one before.
func TestLastAttemptThatSaidAnything(t *testing.T) {
	h := newHouse(t, talker{script{name: "k", run: func(_ context.Context, j *job.Context) (any, error) {
		p := newProgram(t, j)
		defer p.close()
		p.write("stdout", nil)
		if j.Attempt() == 1 {
			p.write("stderr", []byte("boom\n"))
		}
		return nil, errors.New("no luck")
	}}}).up()
	id := h.submit(task.Spec{Kind: "k", Retry: &task.Retry{MaxAttempts: 2, Backoff: task.Duration(time.Millisecond)}}).ID
	h.wait(id)
	if l := h.log(id, task.LogQuery{Stream: "stderr"}); l.Attempt != 1 || readAll(t, l) != "boom\n" {
		t.Errorf("log %+v", l)
	}
}

// TestStreamsOfAKindThatIsGone: its output is still there.
func TestStreamsOfAKindThatIsGone(t *testing.T) {
	k, tell, end := talk(t)
	h := newHouse(t, k).up()
	id := h.submit(task.Spec{Kind: "k"}).ID
	tell(say("stdout", "hello\n"))
	end(nil)
	h.wait(id)
	h.down()
	h.kinds = []job.Kind{ok}
	h.up()
	if l := h.log(id, task.LogQuery{}); l.Stream != "stdout" || readAll(t, l) != "hello\n" {
		t.Errorf("log %+v", l)
	}
}

// TestFollowOfAFlood: a follower that is overtaken by the hole is sent on, and sees no byte twice.
func TestFollowOfAFlood(t *testing.T) {
	const limit = logfile.MinLimit
	k, tell, end := talk(t)
	h := newHouse(t, k).up()
	id := h.submit(task.Spec{Kind: "k"}).ID
	tell(say("stdout", "first\n"))
	slow := h.log(id, task.LogQuery{Follow: true})
	var written strings.Builder
	written.WriteString("first\n")
	tell(func(p *talking) {
		keeper := logfile.NewKeeper(filepath.Join(p.dir, "stdout"), limit)
		for i := 0; written.Len() < 10*limit; i++ {
			line := fmt.Sprintf("line %d of the flood\n", i)
			written.WriteString(line)
			p.write("stdout", []byte(line))
			if i%100 == 0 {
				if _, err := keeper.Check(time.Now()); err != nil {
					t.Error(err)
				}
			}
		}
	})
	all := written.String()
	var holes int
	end(nil)
	h.wait(id)
	for log, offset := slow, int64(0); ; {
		b, err := io.ReadAll(log.Body)
		if err != nil {
			t.Fatal(err)
		}
		log.Body.Close()
		if want := all[offset:][:len(b)]; string(b) != want {
			t.Fatalf("at %d: %.60q, want %.60q", offset, b, want)
		}
		offset += int64(len(b))
		log = h.log(id, task.LogQuery{Stream: log.Stream, Offset: offset, Follow: true})
		if log.Offset > offset {
			holes++
			offset = log.Offset
		} else if log.Ended && offset == log.Size {
			break
		}
	}
	if holes != 1 {
		t.Errorf("%d holes, want one", holes)
	}
	l := h.log(id, task.LogQuery{Offset: limit / 2})
	if got := readAll(t, l); l.Offset <= limit/2 || got != all[l.Offset:] {
		t.Errorf("an offset in the hole: %+v, %d bytes", l, len(got))
	}
}

// lasting is a talker whose program goes on when the daemon leaves.
type lasting struct{ talker }

func (lasting) Survives() {}

func (l lasting) Run(ctx context.Context, j *job.Context) (any, error) {
	v, err := l.talker.Run(ctx, j)
	if errors.Is(err, job.ErrStop) {
		err = job.ErrDetached
	}
	return v, err
}

// TestLeftByTheDaemon: who follows an attempt that goes on without this daemon must not take that for its end.
func TestLeftByTheDaemon(t *testing.T) {
	k, tell, _ := talk(t)
	h := newHouse(t, lasting{k}).up()
	id := h.submit(task.Spec{Kind: "k"}).ID
	tell(say("stdout", "hello\n"))
	l := h.log(id, task.LogQuery{Follow: true})
	defer l.Body.Close()
	h.down()
	b, err := io.ReadAll(l.Body)
	if string(b) != "hello\n" || !errors.Is(err, task.Unavailable) {
		t.Errorf("followed %q, %v", b, err)
	}
}

// BenchmarkFollowLatency is the time from a program's write to the follower's having it.
func BenchmarkFollowLatency(b *testing.B) {
	k, tell, end := talk(b)
	h := newHouse(b, k).up()
	id := h.submit(task.Spec{Kind: "k"}).ID
	tell(say("stdout", "x"))
	l := h.log(id, task.LogQuery{Follow: true})
	defer l.Body.Close()
	buf := make([]byte, 16)
	if _, err := l.Body.Read(buf); err != nil {
		b.Fatal(err)
	}
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		tell(say("stdout", "x"))
		if _, err := l.Body.Read(buf); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
		time.Sleep(3 * time.Millisecond) // a program that says something now and then
	}
	end(nil)
	slices.Sort(took)
	p99 := took[len(took)*99/100]
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(p99.Microseconds()), "p99-µs")
	if p99 > 20*time.Millisecond && len(took) > 200 {
		b.Errorf("p99 %s, want less than 20ms", p99)
	}
}
