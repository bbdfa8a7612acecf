package logfile

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
)

// Suffixes of the files beside a log.
const (
	CutSuffix   = ".cut"
	TimesSuffix = ".times"
	tmpSuffix   = ".tmp"
)

// Hole is the part of a log that was dropped: the bytes from From to before To. The zero Hole is none.
type Hole struct {
	From, To int64
}

// Empty reports whether there is no hole.
func (h Hole) Empty() bool { return h.To <= h.From }

// Contains reports whether the byte at offset is gone.
func (h Hole) Contains(offset int64) bool { return offset >= h.From && offset < h.To }

// ReadHole returns the hole of the log at path. A file that does not say one, which only a power cut can leave, is
// no error: there is no hole that a reader would know of.
func ReadHole(path string) (Hole, error) {
	f, err := os.Open(path + CutSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return Hole{}, nil
	}
	if err != nil {
		return Hole{}, err
	}
	defer func() { _ = f.Close() }()
	var buf [128]byte
	n, err := f.Read(buf[:])
	if n == 0 {
		return Hole{}, ignoreEOF(err)
	}
	h, _ := parseHole(buf[:n])
	return h, nil
}

// append writes h as JSON. The package encoding/json would be most of the program that links this.
func (h Hole) append(b []byte) []byte {
	b = append(b, `{"from":`...)
	b = strconv.AppendInt(b, h.From, 10)
	b = append(b, `,"to":`...)
	b = strconv.AppendInt(b, h.To, 10)
	return append(b, "}\n"...)
}

// parseHole reads what append writes, with white space where JSON allows it.
func parseHole(b []byte) (Hole, bool) {
	p := parser(b)
	ok := p.token('{') && p.name("from") && p.token(':')
	from, fine := p.number()
	ok = ok && fine && p.token(',') && p.name("to") && p.token(':')
	to, fine := p.number()
	ok = ok && fine && p.token('}') && p.end() && from < to
	if !ok {
		return Hole{}, false
	}
	return Hole{from, to}, true
}

// parser is what is left to read.
type parser []byte

func (p *parser) space() {
	for len(*p) > 0 && ((*p)[0] == ' ' || (*p)[0] == '\n' || (*p)[0] == '\t' || (*p)[0] == '\r') {
		*p = (*p)[1:]
	}
}

func (p *parser) token(c byte) bool {
	p.space()
	if len(*p) == 0 || (*p)[0] != c {
		return false
	}
	*p = (*p)[1:]
	return true
}

func (p *parser) name(s string) bool {
	p.space()
	s = `"` + s + `"`
	if len(*p) < len(s) || string((*p)[:len(s)]) != s {
		return false
	}
	*p = (*p)[len(s):]
	return true
}

func (p *parser) number() (int64, bool) {
	p.space()
	i := 0
	for i < len(*p) && (*p)[i] >= '0' && (*p)[i] <= '9' {
		i++
	}
	n, err := strconv.ParseInt(string((*p)[:i]), 10, 64)
	*p = (*p)[i:]
	return n, err == nil
}

func (p *parser) end() bool {
	p.space()
	return len(*p) == 0
}
