package logs

import (
	"bytes"
	"strconv"
	"time"
	"unicode/utf8"
)

// lines makes lines of a stream's bytes.
type lines struct {
	stream string
	max    int
	plain  bool
	start  int64  // the offset of buf
	buf    []byte // the line that has no end yet
	lost   int64  // bytes after start that buf lacks: overwritten by a carriage return
	part   bool   // buf goes on a line of which something was given away
}

// feed returns the lines that b completes. They are good for ever.
func (l *lines) feed(b []byte) []Line {
	var out []Line
	for len(b) > 0 {
		n := bytes.IndexByte(b, '\n') + 1
		whole := n > 0
		if !whole {
			n = len(b)
		}
		n = min(n, l.max) // so that a long line comes in parts of the same size, however it arrives
		whole = whole && b[n-1] == '\n'
		l.buf = append(l.buf, b[:n]...)
		b = b[n:]
		for len(l.buf) > l.max {
			if !l.overwritten() {
				out = append(out, l.take(l.cut()))
			}
		}
		if whole {
			out = append(out, l.take(len(l.buf)))
			l.part = false
		}
	}
	return out
}

// overwritten drops what a carriage return has overwritten, where only the last state of a line is wanted anyway, and
// reports whether it could.
func (l *lines) overwritten() bool {
	if !l.plain {
		return false
	}
	i := bytes.LastIndexByte(bytes.TrimRight(l.buf, "\r"), '\r')
	if i < 0 {
		return false
	}
	l.lost += int64(i) + 1
	l.buf = append(l.buf[:0], l.buf[i+1:]...)
	return true
}

// cut returns where the first part of buf ends: not within a letter.
func (l *lines) cut() int {
	for n := l.max; n > l.max-utf8.UTFMax && n > 0; n-- {
		if utf8.RuneStart(l.buf[n]) {
			return n
		}
	}
	return l.max
}

// take gives the first n bytes of buf away.
func (l *lines) take(n int) Line {
	line := Line{
		Stream: l.stream, Offset: l.start, End: l.start + l.lost + int64(n), Text: bytes.Clone(l.buf[:n]), Part: l.part,
	}
	l.buf = append(l.buf[:0], l.buf[n:]...)
	l.start, l.lost, l.part = line.End, 0, true
	return line
}

// rest returns the line that has no end yet, and leaves it there; flush gives it away.
func (l *lines) rest() Line {
	return Line{Stream: l.stream, Offset: l.start, End: l.start + l.lost + int64(len(l.buf)), Text: l.buf, Part: l.part}
}

func (l *lines) flush() Line { return l.take(len(l.buf)) }

// jump ends the line that has none, where a hole begins.
func (l *lines) jump(hole Line) []Line {
	var out []Line
	if len(l.buf) > 0 {
		out = append(out, l.flush())
	}
	l.start, l.part = hole.End, false
	return append(out, hole)
}

// parseMark reads "OFFSET TIME".
func parseMark(line []byte) (mark, bool) {
	offset, stamp, ok := bytes.Cut(line, []byte{' '})
	if !ok {
		return mark{}, false
	}
	n, err := strconv.ParseInt(string(offset), 10, 64)
	if err != nil || n < 0 {
		return mark{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, string(stamp))
	return mark{n, t}, err == nil
}
