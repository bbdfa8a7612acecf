package progress

import "strings"

// maxLine is how much of a line is looked at, in bytes.
const maxLine = 4096

// splitter cuts a program's output into the lines that a person would see one after the other on a terminal: a
// carriage return, a backspace and a cursor movement end a line as a newline does. Colours are dropped. Memory is
// bounded whatever comes.
type splitter struct {
	line  []byte
	state escape
	// blind: bytes were left out; what comes up to the next end of a line is a piece of one.
	blind bool
	// last is the last line that is not blank, whole or half.
	last string
}

// escape is where in a control sequence the stream stands.
type escape uint8

const (
	ground  escape = iota
	escaped        // after ESC
	csi            // after ESC [
	osc            // after ESC ]
)

// feed calls each with every line that is complete.
func (s *splitter) feed(b []byte, each func(line string)) {
	for _, c := range b {
		switch s.state {
		case escaped:
			s.state = ground
			switch c {
			case '[':
				s.state = csi
			case ']':
				s.state = osc
			}
		case csi:
			if c >= 0x40 && c <= 0x7e {
				s.state = ground
				if c != 'm' {
					s.end(each)
				}
			} else if c < 0x20 { // no control sequence after all
				s.state = ground
				s.plain(c, each)
			}
		case osc:
			if c == '\a' || c == 0x1b || c == '\n' {
				s.state = ground
			}
		default:
			s.plain(c, each)
		}
	}
}

func (s *splitter) plain(c byte, each func(line string)) {
	switch {
	case c == '\n', c == '\r', c == '\b':
		s.end(each)
	case c == 0x1b:
		s.state = escaped
	case c < 0x20 && c != '\t', c == 0x7f: // of binary output, what no line is made of
	case len(s.line) < maxLine:
		s.line = append(s.line, c)
	}
}

func (s *splitter) end(each func(line string)) {
	if len(s.line) > 0 && !s.blind {
		line := string(s.line)
		if strings.TrimSpace(line) != "" {
			s.last = line
		}
		each(line)
	}
	s.line, s.blind = s.line[:0], false
}

// half returns the line that has no end yet.
func (s *splitter) half() string {
	if s.blind {
		return ""
	}
	return string(s.line)
}

// skip notes that bytes were left out.
func (s *splitter) skip() { s.line, s.state, s.blind = s.line[:0], ground, true }

// lastLine returns the last line that is not blank.
func (s *splitter) lastLine() string {
	if half := s.half(); strings.TrimSpace(half) != "" {
		return half
	}
	return s.last
}
