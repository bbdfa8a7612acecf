package render

import (
	"strings"
	"unicode"

	"github.com/mattn/go-runewidth"
)

// columns counts as terminals draw, whatever the locale of this process says.
var columns = &runewidth.Condition{EastAsianWidth: false, StrictEmojiNeutral: true}

// Width returns the columns that s takes.
func Width(s string) int { return columns.StringWidth(s) }

// Truncate cuts s to at most n columns; what is cut shows as an ellipsis.
func Truncate(s string, n int) string {
	if n <= 0 {
		return ""
	}
	return columns.Truncate(s, n, "…")
}

// Pad fills s with spaces up to n columns.
func Pad(s string, n int) string { return s + strings.Repeat(" ", max(0, n-Width(s))) }

// Clean makes text that came from outside harmless and one line: control characters, escape sequences'
// beginnings among them, and those that reorder text become spaces or nothing.
func Clean(s string) string {
	cleaned := strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r):
			return -1
		case r == unicode.ReplacementChar:
			return '?'
		}
		return r
	}, s)
	return strings.TrimSpace(cleaned)
}

// Lines returns the lines of s that say something, each clean.
func Lines(s string) []string {
	var all []string
	for line := range strings.Lines(s) {
		if line = Clean(line); line != "" {
			all = append(all, line)
		}
	}
	return all
}

// FirstLine returns the first line of s that says something, clean.
func FirstLine(s string) string {
	for line := range strings.Lines(s) {
		if line = Clean(line); line != "" {
			return line
		}
	}
	return ""
}
