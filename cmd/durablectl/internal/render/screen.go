// Package render turns tasks and figures into text for people: tables, pages, bars, lines. Everything
// in it is a pure function of its arguments, the clock included, so that what a terminal shows can be
// compared with a file in a test.
//
// # Design
//
// A [Screen] says what can be shown: columns and colour of a terminal, or, as its zero value, plain text
// of any width for a pipe or a file. Whatever came from outside (titles, messages, errors, parameters)
// passes [Clean] first: a task's title must not be able to move a terminal's cursor or recolour it.
//
// Sizes and counts are written by go-humanize. Columns are counted by go-runewidth, since a table with
// a Japanese title must stay a table; ambiguous characters count as one column, as terminals draw them.
// Durations are our own twenty lines, because time.Duration prints 26h3m0.5s and go-humanize prints
// "1 day ago", and a column needs "1d2h". A series is drawn by asciigraph, which is text in and text out and brings nothing
// along; ntcharts draws the same on lipgloss and bubbletea. Rejected: text/tabwriter (counts runes, knows no colour and no
// last column that gives way), bubbletea and lipgloss (a screen is not what a pipe wants).
package render

import (
	"strings"
	"time"

	"durable/ipc/task"
)

// Screen is where text goes. The zero value is no terminal: no colour, lines of any length.
type Screen struct {
	// Width is in columns; 0 is no limit.
	Width int
	// Color: ANSI colours may be used.
	Color bool
	// Now is what ages are counted from; its location is the one in which times are shown.
	Now time.Time
}

// Terminal reports whether s is one.
func (s Screen) Terminal() bool { return s.Width > 0 }

// Color is an ANSI SGR parameter; the zero value is none.
type Color string

// The colours, all of the terminal's own palette, so that they are readable on any background.
const (
	None   Color = ""
	Bold   Color = "1"
	Faint  Color = "2"
	Red    Color = "31"
	Green  Color = "32"
	Yellow Color = "33"
	Cyan   Color = "36"
)

// Paint returns text in the colour, or as it is where there is no colour.
func (s Screen) Paint(c Color, text string) string {
	if !s.Color || c == None || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// statusColors is what people know from test runners: green is good, red is not.
var statusColors = map[task.Status]Color{
	task.StatusPending:   Faint,
	task.StatusRunning:   Cyan,
	task.StatusCompleted: Green,
	task.StatusFailed:    Red,
	task.StatusCancelled: Yellow,
}

// State returns where a task stands in a word or two: its status, and its phase or outcome where that
// says more ("pending/retry_wait", "failed/timed_out").
func State(status task.Status, phase task.Phase, outcome task.Outcome) string {
	more := string(phase)
	if status == task.StatusFailed && outcome != task.OutcomeFailed {
		more = string(outcome)
	}
	if more == "" || more == string(status) {
		return string(status)
	}
	return string(status) + "/" + more
}

// time returns t as people read it: the day only when it is not today.
func (s Screen) time(t time.Time) string {
	t = t.In(s.Now.Location())
	if y, m, d := t.Date(); s.Now.Year() == y && s.Now.Month() == m && s.Now.Day() == d {
		return t.Format("15:04:05")
	}
	return t.Format("2006-01-02 15:04:05")
}

// fit cuts a line at the screen's width.
func (s Screen) fit(line string) string {
	if s.Width == 0 {
		return line
	}
	return Truncate(line, s.Width)
}

// lines joins what is not empty, each with its line end.
func lines(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		if p != "" {
			b.WriteString(p)
			b.WriteByte('\n')
		}
	}
	return b.String()
}
