package logs

import (
	"bytes"
	"errors"
	"io"
	"time"

	"durable/ipc/task"
)

// source reads one stream, over its holes.
type source struct {
	r       *Reader
	name    string
	attempt int
	offset  int64 // what is read next
	end     int64 // where the past ends
	follow  bool  // beyond it
	hole    Line  // to be told before anything else
	lines   lines
	ready   []Line
	marks   []mark
	body    io.ReadCloser // nil: to be opened at offset
	buf     []byte
}

func (s *source) close() {
	if s.body != nil {
		_ = s.body.Close()
		s.body = nil
	}
}

// reader returns the open body. A body that begins later than where the last one stopped tells of a hole; one that cannot
// bring any more is io.EOF.
func (s *source) reader() (io.ReadCloser, error) {
	if s.body != nil {
		return s.body, nil
	}
	if !s.follow && s.offset >= s.end {
		return nil, io.EOF
	}
	log, err := s.r.svc.Log(s.r.ctx, s.r.ref, task.LogQuery{
		Stream: s.name, Attempt: s.attempt, Offset: s.offset, Follow: s.follow,
	})
	if err != nil {
		return nil, err
	}
	if log.Offset > s.offset {
		s.hole = Line{Stream: s.name, Offset: s.offset, End: log.Offset, Hole: true}
		s.offset = log.Offset
	} else if log.Ended && s.offset >= log.Size {
		_ = log.Body.Close()
		return nil, io.EOF
	}
	s.body = log.Body
	return s.body, nil
}

// chunk returns the next bytes, or a hole before them, until io.EOF. The bytes are good until the next call.
func (s *source) chunk() ([]byte, Line, error) {
	for empty := false; ; {
		body, err := s.reader()
		if err != nil {
			return nil, Line{}, err
		}
		if hole := s.hole; hole.Hole {
			s.hole = Line{}
			return nil, hole, nil
		}
		if s.buf == nil {
			s.buf = make([]byte, 32<<10)
		}
		b := s.buf
		if !s.follow {
			b = b[:min(int64(len(b)), max(0, s.end-s.offset))]
		}
		n, err := 0, io.EOF
		if len(b) > 0 {
			n, err = body.Read(b)
		}
		s.offset += int64(n)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, Line{}, err
		}
		if err != nil {
			s.close() // a hole, or the end: the next question will tell
		}
		if n > 0 {
			return b[:n], Line{}, nil
		}
		if err != nil && !s.again(&empty) {
			return nil, Line{}, io.EOF
		}
	}
}

// pause is the time between two questions for a stream that has ended, of an attempt that has not yet.
const pause = 20 * time.Millisecond

// again reports whether a body that was empty may be followed by one that is not. One is asked for at once; if that
// is empty too, the stream has no more (it was truncated), or its attempt is about to end.
func (s *source) again(empty *bool) bool {
	if !*empty {
		*empty = true
		return true
	}
	if !s.follow {
		return false
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.r.ctx.Done(): // the next question says so
	}
	return true
}

// next returns the next line of the past.
func (s *source) next() (Line, error) {
	for len(s.ready) == 0 {
		b, hole, err := s.chunk()
		switch {
		case errors.Is(err, io.EOF):
			if rest := s.lines.rest(); len(rest.Text) > 0 && !s.r.o.Follow {
				s.lines.flush()
				return s.timed(rest), nil
			}
			return Line{}, io.EOF
		case err != nil:
			return Line{}, err
		case hole.Hole:
			s.ready = s.lines.jump(hole)
		default:
			s.ready = s.lines.feed(b)
		}
	}
	l := s.ready[0]
	s.ready = s.ready[1:]
	return s.timed(l), nil
}

// timed gives l the time by which it was written.
func (s *source) timed(l Line) Line {
	for len(s.marks) > 0 && s.marks[0].offset < l.End {
		s.marks = s.marks[1:]
	}
	switch {
	case len(s.marks) > 0:
		l.Time = s.marks[0].time
	case s.r.o.Times && !s.r.Ended:
		l.Time = time.Now() // just now: its mark is still to come
	}
	return l
}

// merge returns the next line of the past: the older one, or stdout's.
func (r *Reader) merge() (Line, error) {
	best := -1
	for i, s := range r.past {
		if r.held[i] == nil {
			l, err := s.next()
			if errors.Is(err, io.EOF) {
				continue
			}
			if err != nil {
				return Line{}, err
			}
			r.held[i] = &l
		}
		if best < 0 || before(r.held[i].Time, r.held[best].Time) {
			best = i
		}
	}
	if best < 0 {
		return Line{}, io.EOF
	}
	l := *r.held[best]
	r.held[best] = nil
	return l, nil
}

// before reports whether a was before b. What has no time yet was written last.
func before(a, b time.Time) bool { return !a.IsZero() && (b.IsZero() || a.Before(b)) }

// count reads the past and keeps its last lines.
func (r *Reader) count() error {
	var bytes int64
	texts := 0
	drop := func() {
		if !r.tail[0].Hole && !r.tail[0].Part {
			texts--
		}
		bytes -= int64(len(r.tail[0].Text))
		r.tail = r.tail[1:]
	}
	for {
		l, err := r.merge()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if r.o.Grep != nil && (l.Hole || !r.matches(l)) {
			continue
		}
		r.tail = append(r.tail, l)
		if !l.Hole && !l.Part {
			texts++
		}
		bytes += int64(len(l.Text))
		for texts > r.o.Tail || r.o.TailBytes > 0 && bytes > r.o.TailBytes && len(r.tail) > 1 {
			drop()
		}
	}
	for len(r.tail) > 1 && (r.tail[0].Part || r.tail[0].Hole) { // the cut lies somewhere in a line: begin with the next one
		drop()
	}
	return nil
}

// mark says that all bytes before offset were written by time.
type mark struct {
	offset int64
	time   time.Time
}

// marks reads the times of a stream. One without them has none.
func (r *Reader) marks(stream string) ([]mark, error) {
	log, err := r.svc.Log(r.ctx, r.ref, task.LogQuery{Stream: stream + task.TimesSuffix, Attempt: r.Attempt})
	if errors.Is(err, task.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer log.Body.Close()
	b, err := io.ReadAll(log.Body)
	if err != nil {
		return nil, err
	}
	return parseMarks(b), nil
}

// parseMarks reads lines "OFFSET TIME". What is none is left out.
func parseMarks(b []byte) []mark {
	var all []mark
	for line := range bytes.Lines(b) {
		if m, ok := parseMark(bytes.TrimSuffix(line, []byte{'\n'})); ok && (len(all) == 0 || m.offset > all[len(all)-1].offset) {
			all = append(all, m)
		}
	}
	return all
}
