package stdioproxy

import (
	"bytes"
	"encoding/json"
)

// maxID is the longest id that the scanner keeps, in bytes.
const maxID = 256

// idScanner finds the value of the key "id" at the top of a JSON object that is too large to be kept:
// it goes over the bytes once and holds none but that value's. Some clients write the id first, others
// last, so neither the head nor the tail of the message would do. What is not JSON yields no id, or one
// that json.Valid accepts; the worst that comes of it is an error reply that nobody waits for.
type idScanner struct {
	depth    int
	inString bool
	escaped  bool
	// token is the string or number at depth 1 that is being read; cut: it was too long.
	token []byte
	cut   bool
	// afterID: the key was "id", its value comes.
	afterID bool
	found   json.RawMessage
}

func (s *idScanner) scan(b []byte) {
	for _, c := range b {
		s.next(c)
	}
}

func (s *idScanner) next(c byte) {
	if s.inString {
		s.keep(c)
		switch {
		case s.escaped:
			s.escaped = false
		case c == '\\':
			s.escaped = true
		case c == '"':
			s.inString = false
		}
		return
	}
	switch c {
	case '"':
		s.inString = true
		s.keep(c)
	case '{', '[':
		s.depth++
		s.token = s.token[:0]
	case '}', ']':
		s.endValue()
		s.depth--
	case ',':
		s.endValue()
	case ':':
		if s.depth == 1 {
			s.afterID = string(s.token) == `"id"`
			s.token, s.cut = s.token[:0], false
		}
	case ' ', '\t', '\r', '\n':
	default:
		s.keep(c)
	}
}

func (s *idScanner) keep(c byte) {
	switch {
	case s.depth != 1:
	case len(s.token) < maxID:
		s.token = append(s.token, c)
	default:
		s.cut = true
	}
}

// endValue is called at the end of a key's value, at any depth.
func (s *idScanner) endValue() {
	if s.depth != 1 {
		return
	}
	if s.afterID && !s.cut && len(s.token) > 0 {
		s.found = bytes.Clone(s.token)
	}
	s.afterID, s.token, s.cut = false, s.token[:0], false
}

// id returns the id as JSON, a string or a number, or nil.
func (s *idScanner) id() json.RawMessage {
	if len(s.found) == 0 || !json.Valid(s.found) {
		return nil
	}
	if c := s.found[0]; c != '"' && c != '-' && (c < '0' || c > '9') {
		return nil
	}
	return s.found
}
