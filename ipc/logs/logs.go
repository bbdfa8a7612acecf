package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sync"
	"time"

	"durable/ipc/task"
)

// Options say what is read. The zero value is all that the last attempt has written.
type Options struct {
	// Attempt is counted from 1; 0 is the last one that wrote anything.
	Attempt int
	// Stream is one of them alone. Empty: stdout and stderr as one, where the kind has them, else its main one.
	Stream string
	// Main: only the main one, where Stream is empty.
	Main bool
	// Offset is where one stream begins.
	Offset int64
	// Tail is how many lines at the end are wanted, of those that are left by Grep; 0 is all.
	Tail int
	// FromNow: nothing of what is there when it is opened; for Follow.
	FromNow bool
	// TailBytes: Tail looks at no more than so many bytes at the end of each stream, unless there is Grep; 0 is all.
	TailBytes int64
	// Follow goes on until the attempt has ended.
	Follow bool
	// Grep leaves only lines in which it matches, as they read without escape sequences.
	Grep *regexp.Regexp
	// Plain makes Text fit for reading, see [Plain].
	Plain bool
	// Times gives lines of one stream their time too. Those of two have it anyway.
	Times bool
	// MaxLine is how long a line is before it comes in parts, in bytes; 0 is [DefaultMaxLine].
	MaxLine int
}

// DefaultMaxLine is [Options].MaxLine where it is 0.
const DefaultMaxLine = 64 << 10

// Line is a line of a stream, a part of one, or a hole.
type Line struct {
	Stream string
	// Offset and End are what it takes of its stream.
	Offset, End int64
	// Text is the line with its newline; that is missing where the line is not whole yet. Nil: a hole.
	Text []byte
	// Part: Text goes on where the stream's line before stopped.
	Part bool
	// Time is by when it was written; zero where that is not known.
	Time time.Time
	// Hole: these bytes were dropped when the log outgrew its limit.
	Hole bool
}

// Marker is what stands in the place of a hole, with its newline.
func (l Line) Marker() string {
	return fmt.Sprintf("--- %s of %s left out here: the log has outgrown its limit ---\n", size(l.End-l.Offset), l.Stream)
}

// Stream is what a Reader knew of a stream when it was opened.
type Stream struct {
	Name string
	// Offset is where it is read from, Size how long it was.
	Offset, Size int64
}

// Reader reads one attempt's output. It is for one goroutine: the end of the context that Open was given ends a Next that
// waits.
type Reader struct {
	// Attempt is the one that is read. Ended: it had ended when Open asked.
	Attempt int
	Ended   bool
	// Streams are what is read, stdout before stderr.
	Streams []Stream

	ctx    context.Context
	cancel context.CancelFunc
	svc    task.Service
	ref    task.Ref
	o      Options

	past []*source // what was there; nil when it is read
	held []*Line   // the next line of each, nil: not read yet
	tail []Line    // the end of the past, where Tail has to be counted here
	live *live     // what comes; nil unless followed
	done error     // sticks

	group sync.WaitGroup
}

// Open opens an attempt's output. ctx governs it as long as it is open.
func Open(ctx context.Context, svc task.Service, ref task.Ref, o Options) (*Reader, error) {
	if o.MaxLine <= 0 {
		o.MaxLine = DefaultMaxLine
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &Reader{ctx: ctx, cancel: cancel, svc: svc, ref: ref, o: o}
	if err := r.open(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (r *Reader) open() error {
	q := task.LogQuery{Stream: r.o.Stream, Attempt: r.o.Attempt, Offset: r.o.Offset}
	r.o.Main = r.o.Main || q.Offset > 0 // an offset is one in one stream
	if r.o.Grep == nil {
		q.Tail = r.o.Tail
	}
	first, err := r.add(q)
	if err != nil {
		return err
	}
	r.Attempt, r.Ended = first.Attempt, first.Ended
	q.Attempt = first.Attempt
	if r.o.Stream == "" && first.Stream == task.StreamStdout && !r.o.Main {
		q.Stream = task.StreamStderr
		switch second, err := r.add(q); {
		case err == nil:
			r.Ended = r.Ended && second.Ended
		case !errors.Is(err, task.NotFound):
			return err
		}
	}
	if r.Ended {
		r.o.Follow = false // all that will ever come is there
	}
	if len(r.past) > 1 || r.o.Times {
		for _, s := range r.past {
			if s.marks, err = r.marks(s.name); err != nil {
				return err
			}
		}
	}
	r.held = make([]*Line, len(r.past))
	if r.o.Tail > 0 && (r.o.Grep != nil || len(r.past) > 1 || r.o.TailBytes > 0) {
		return r.count()
	}
	return nil
}

// add opens a stream for what there is of it.
func (r *Reader) add(q task.LogQuery) (task.Log, error) {
	log, err := r.svc.Log(r.ctx, r.ref, q)
	if err != nil {
		return log, err
	}
	s := &source{r: r, name: log.Stream, offset: log.Offset, end: log.Size, body: log.Body}
	s.lines = lines{stream: log.Stream, start: log.Offset, max: r.o.MaxLine, plain: r.o.Plain}
	if from := log.Size - r.o.TailBytes; q.Tail > 0 && r.o.TailBytes > 0 && log.Offset < from {
		s.close()
		s.offset, s.lines.start, s.lines.part = from, from, true
	}
	if r.o.FromNow {
		s.close()
		s.offset, s.lines.start = log.Size, log.Size
	} else if q.Offset < log.Offset && q.Tail == 0 {
		s.hole = Line{Stream: log.Stream, Offset: q.Offset, End: log.Offset, Hole: true}
	}
	s.attempt = log.Attempt
	r.past = append(r.past, s)
	r.Streams = append(r.Streams, Stream{log.Stream, s.offset, log.Size})
	return log, nil
}

// Next returns the next line, io.EOF after the last. Followed, it waits for one.
func (r *Reader) Next() (Line, error) {
	for r.done == nil {
		l, err := r.next()
		if err != nil {
			r.done = err
			break
		}
		if r.o.Grep != nil && (l.Hole || !r.matches(l)) {
			continue
		}
		if r.o.Plain && !l.Hole {
			l.Text = Plain(l.Text)
		}
		return l, nil
	}
	return Line{}, r.done
}

// Waits reports whether Next may have to wait for something to be written.
func (r *Reader) Waits() bool {
	if !r.o.Follow || len(r.tail) > 0 || r.live != nil && len(r.live.ready) > 0 {
		return false
	}
	for i, s := range r.past {
		if r.held[i] != nil || len(s.ready) > 0 {
			return false
		}
	}
	return true
}

func (r *Reader) matches(l Line) bool {
	text := Plain(l.Text)
	if n := len(text); n > 0 && text[n-1] == '\n' {
		text = text[:n-1]
	}
	return r.o.Grep.Match(text)
}

// next returns the next line of the past, and then of what comes.
func (r *Reader) next() (Line, error) {
	if len(r.tail) > 0 {
		l := r.tail[0]
		r.tail = r.tail[1:]
		return l, nil
	}
	if r.past != nil {
		l, err := r.merge()
		if !errors.Is(err, io.EOF) {
			return l, err
		}
		if r.o.Follow {
			r.live = newLive(r)
		}
		r.past = nil
	}
	if r.live != nil {
		return r.live.next()
	}
	return Line{}, io.EOF
}

// Close ends the reading. It may be called again.
func (r *Reader) Close() {
	r.cancel()
	r.group.Wait()
	for _, s := range r.past {
		s.close()
	}
}
