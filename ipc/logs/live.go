package logs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"
)

// unfinished is how long a line without an end is waited for before what there is of it is shown.
const unfinished = 100 * time.Millisecond

// live reads what comes, of all streams at once.
type live struct {
	r      *Reader
	chunks chan chunk
	lines  []*lines
	ready  []Line
	left   int // streams that have not ended
}

// chunk is what one stream has brought.
type chunk struct {
	from int
	b    []byte
	hole Line
	err  error
}

// newLive goes on where the past has ended: at the beginning of a line.
func newLive(r *Reader) *live {
	v := &live{r: r, chunks: make(chan chunk), left: len(r.past)}
	for i, s := range r.past {
		from := s.lines.rest()
		s.close()
		next := &source{r: r, name: s.name, attempt: s.attempt, offset: from.Offset, follow: true}
		l := &lines{stream: s.name, start: from.Offset, max: r.o.MaxLine, plain: r.o.Plain, part: from.Part}
		v.lines = append(v.lines, l)
		r.group.Go(func() { v.read(i, next) })
	}
	return v
}

// read passes on what its stream brings, until it has ended or the Reader is closed. It leaves nothing open behind it.
func (v *live) read(from int, s *source) {
	defer s.close()
	for {
		b, hole, err := s.chunk()
		c := chunk{from, bytes.Clone(b), hole, err}
		select {
		case v.chunks <- c:
		case <-v.r.ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

func (v *live) next() (Line, error) {
	for len(v.ready) == 0 {
		if v.left == 0 {
			return Line{}, io.EOF
		}
		if err := v.await(); err != nil {
			return Line{}, err
		}
	}
	l := v.ready[0]
	v.ready = v.ready[1:]
	return l, nil
}

// await waits for a chunk, or until it is time to show what is unfinished.
func (v *live) await() error {
	var idle <-chan time.Time
	if v.pending() {
		t := time.NewTimer(unfinished)
		defer t.Stop()
		idle = t.C
	}
	select {
	case c := <-v.chunks:
		return v.take(c)
	case <-idle:
		for _, l := range v.lines {
			if v.showable(l) {
				v.add(l.flush())
			}
		}
		return nil
	case <-v.r.ctx.Done():
		return context.Cause(v.r.ctx)
	}
}

func (v *live) take(c chunk) error {
	l := v.lines[c.from]
	switch {
	case errors.Is(c.err, io.EOF):
		v.left--
		if len(l.buf) > 0 {
			v.add(l.flush())
		}
	case c.err != nil:
		return c.err
	case c.hole.Hole:
		v.add(l.jump(c.hole)...)
	default:
		v.add(l.feed(c.b)...)
	}
	return nil
}

// add stamps lines with the time of their arrival.
func (v *live) add(lines ...Line) {
	now := time.Now()
	for _, l := range lines {
		l.Time = now
		v.ready = append(v.ready, l)
	}
}

func (v *live) pending() bool {
	for _, l := range v.lines {
		if v.showable(l) {
			return true
		}
	}
	return false
}

// showable: a part of a line cannot be searched, and a state that will be overwritten is not worth a line.
func (v *live) showable(l *lines) bool {
	return len(l.buf) > 0 && v.r.o.Grep == nil && (!v.r.o.Plain || bytes.IndexByte(l.buf, '\r') < 0)
}
