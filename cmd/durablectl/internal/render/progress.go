package render

import (
	"fmt"
	"strings"
	"time"

	"durable/ipc/task"
)

// report returns what p says beyond its percentage: message or counts, and while the task runs its rate
// and the time left.
func report(status task.Status, p task.Progress) []string {
	var parts []string
	if message := FirstLine(p.Message); message != "" {
		parts = append(parts, message)
	} else if p.Done > 0 || p.Total != nil {
		parts = append(parts, amount(p))
	}
	if status != task.StatusRunning {
		return parts
	}
	if p.Rate > 0 {
		parts = append(parts, Rate(p.Rate, p.Unit))
	}
	if p.ETA != nil {
		parts = append(parts, Duration(time.Duration(*p.ETA))+" left")
	}
	return parts
}

// Line returns where a task stands in one line of at most width columns (0: any), with a bar if that
// can be: "42 running ████░░░░ 34%  Migrated 3400/100000 records  512 records/s  3m8s left".
func (s Screen) Line(t task.Summary, width int) string {
	s.Width = width
	head := fmt.Sprintf("%d %s", t.Number, State(t.Status, t.Phase, t.Outcome))
	parts := []string{head}
	if percent, ok := t.Progress.Percent(); ok && t.Status == task.StatusRunning {
		const least, most = 8, 30
		bar := Bar(percent, min(most, max(least, width/4)))
		parts[0] = head + " " + bar + " " + Percent(t.Progress)
	}
	parts = append(parts, report(t.Status, t.Progress)...)
	if t.Error != "" {
		parts = append(parts, FirstLine(t.Error))
	}
	return s.fit(strings.Join(parts, "  "))
}

// Changes turns the reports of one task into plain lines: one for each change of state, and of what is
// only progress no more than a reader wants. The zero value is ready.
type Changes struct {
	last    task.Summary
	at      time.Time
	percent float64
}

// Of progress, a line is written at most this often, unless it has gone on by so much.
const (
	quietFor     = 10 * time.Second
	quietPercent = 10
)

// Line returns the line that t is worth at that time, and false for none.
func (c *Changes) Line(s Screen, at time.Time, t task.Summary) (string, bool) {
	percent, _ := t.Progress.Percent()
	state := c.last.Status != t.Status || c.last.Phase != t.Phase || c.last.Attempt != t.Attempt || c.last.Error != t.Error
	moved := t.Progress.Done != c.last.Progress.Done || t.Progress.Message != c.last.Progress.Message
	if !state && (!moved || (at.Sub(c.at) < quietFor && percent-c.percent < quietPercent)) {
		return "", false
	}
	c.last, c.at, c.percent = t, at, percent
	parts := []string{fmt.Sprintf("%s %d %s", s.time(at), t.Number, State(t.Status, t.Phase, t.Outcome))}
	if _, known := percentOf(t.Status, t.Progress); known {
		parts[0] += " " + Percent(t.Progress)
	}
	if t.Attempt > 1 && state {
		parts = append(parts, fmt.Sprintf("attempt %d", t.Attempt))
	}
	parts = append(parts, report(t.Status, t.Progress)...)
	if t.Error != "" {
		parts = append(parts, FirstLine(t.Error))
	}
	return strings.Join(parts, ", "), true
}

// Ending returns how t ended: a line, for a failed one with its error and hint.
func (s Screen) Ending(t task.Task) string {
	head := fmt.Sprintf("%d %s", t.Number, s.Paint(statusColors[t.Status], State(t.Status, t.Phase, t.Outcome)))
	if took := s.took(t); took != "" && t.Status.Terminal() {
		if t.Status == task.StatusCompleted {
			head += " in " + took
		} else {
			head += " after " + took
		}
	}
	if title := Clean(t.Title); title != "" {
		head += ": " + title
	}
	if message := FirstLine(t.Progress.Message); message != "" && t.Status == task.StatusCompleted {
		head += ", " + message // how much it was, and what was left out
	}
	if t.Status != task.StatusFailed {
		return lines(head)
	}
	text := lines(head)
	if message := FirstLine(errorOf(t)); message != "" {
		text += lines("error: " + message)
	}
	if t.Error != nil && t.Error.Hint != "" {
		text += lines("hint: " + FirstLine(t.Error.Hint))
	}
	return text
}

// Event returns an event as a line.
func (s Screen) Event(e task.Event) string {
	when := e.Time.In(s.Now.Location()).Format("2006-01-02 15:04:05.000")
	parts := []string{fmt.Sprintf("%s  %-10s", s.Paint(Faint, when), Clean(string(e.Type)))}
	if t := e.Task; t != nil {
		parts = append(parts, fmt.Sprintf("%d %s", t.Number, s.Paint(statusColors[t.Status], State(t.Status, t.Phase, t.Outcome))))
		if percent := Percent(t.Progress); percent != "" && e.Type == task.EventProgress {
			parts = append(parts, percent)
		}
		parts = append(parts, Clean(t.Title))
		if t.Error != "" {
			parts = append(parts, FirstLine(t.Error))
		}
	} else if e.TaskID != "" {
		parts = append(parts, Clean(string(e.TaskID)))
	}
	parts = append(parts, FirstLine(e.Message))
	return strings.TrimRight(strings.Join(notEmpty(parts), "  "), " ") + "\n"
}

func notEmpty(parts []string) []string {
	kept := parts[:0]
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return kept
}
