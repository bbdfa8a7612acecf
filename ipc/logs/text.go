package logs

import (
	"bytes"
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi/parser"
)

// Plain makes a line, or a part of one, fit for reading: without escape sequences, of what a carriage return
// has overwritten only the last state, and with signs in place of what cannot be printed. A newline at the end stays.
func Plain(line []byte) []byte {
	text, newline := bytes.CutSuffix(line, []byte{'\n'})
	text = bytes.TrimRight(text, "\r")
	if i := bytes.LastIndexByte(text, '\r'); i >= 0 {
		text = text[i+1:]
	}
	text = printable(strip(text))
	if newline {
		text = append(text[:len(text):len(text)], '\n')
	}
	return text
}

// strip takes escape sequences out. Bytes above 0x7f begin none: in UTF-8 they are letters, and the old
// one-byte sequences are found in binary output only.
func strip(b []byte) []byte {
	if bytes.IndexByte(b, 0x1b) < 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	state := parser.GroundState
	for _, c := range b {
		if state == parser.GroundState && c >= utf8.RuneSelf {
			out = append(out, c)
			continue
		}
		next, action := parser.Table.Transition(state, c)
		if next == parser.Utf8State {
			next, action = parser.GroundState, parser.PrintAction
		}
		if action == parser.PrintAction || action == parser.ExecuteAction {
			out = append(out, c)
		}
		state = next
	}
	return out
}

// printable puts a sign in the place of each control character, and U+FFFD in that of what is no UTF-8.
func printable(b []byte) []byte {
	clean := true
	for i := 0; i < len(b) && clean; i++ {
		clean = b[i] >= ' ' && b[i] < 0x7f || b[i] == '\t'
	}
	if clean {
		return b
	}
	out := make([]byte, 0, len(b)+16)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == '\t':
		case r < ' ':
			r += 0x2400 // the pictures of control characters
		case r == 0x7f:
			r = 0x2421
		case unicode.Is(unicode.Cc, r), unicode.Is(unicode.Cf, r) && r != 0x200d: // also what turns the text's direction
			r = utf8.RuneError
		}
		out = utf8.AppendRune(out, r)
		b = b[n:]
	}
	return out
}

// size writes a number of bytes for people.
func size(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d bytes", n)
	}
	v, unit := float64(n), -1
	for v >= 1<<10 && unit < 4 {
		v /= 1 << 10
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", v, "KMGTP"[unit])
}
