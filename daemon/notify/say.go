package notify

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"durable/daemon/job/command"
	"durable/ipc/task"
)

// maxTitle and maxReason bound what is shown, in runes: the room is small.
const (
	maxTitle  = 80
	maxReason = 200
)

// say is the one place that decides: whether a word is due on t, and which. What somebody has cancelled he knows about.
func say(t task.Task, after time.Duration) (Note, bool) {
	began := first(t)
	if began.IsZero() || t.CompletedAt == nil {
		return Note{}, false // it never ran
	}
	took := t.CompletedAt.Sub(began)
	if took < after {
		return Note{}, false
	}
	title := cmp.Or(line(t.Title, maxTitle), t.Kind)
	about := fmt.Sprintf("Task %d, after %s", t.Number, took.Round(time.Second))
	switch t.Status {
	case task.StatusCompleted:
		if code, ok := exitCode(t.Result); ok {
			about += fmt.Sprintf(", exit status %d", code)
		}
		return Note{Title: "Done: " + title, Body: about + "."}, true
	case task.StatusFailed:
		return Note{Title: "Failed: " + title, Body: about + ": " + reason(t), Failed: true}, true
	}
	return Note{}, false
}

// first returns when t began to run, whichever attempt that was.
func first(t task.Task) time.Time {
	var began time.Time
	if t.StartedAt != nil {
		began = *t.StartedAt
	}
	for _, a := range t.Attempts {
		if !a.StartedAt.IsZero() && (began.IsZero() || a.StartedAt.Before(began)) {
			began = a.StartedAt
		}
	}
	return began
}

// exitCode finds the exit status of a program in its result; other kinds have none.
func exitCode(result json.RawMessage) (int, bool) {
	var r struct {
		ExitCode *int `json:"exit_code"`
	}
	if json.Unmarshal(result, &r) != nil || r.ExitCode == nil {
		return 0, false
	}
	return *r.ExitCode, true
}

// reason says in a line why t has failed.
func reason(t task.Task) string {
	var why string
	if t.Error != nil {
		why = line(t.Error.Message, maxReason)
	}
	switch t.Outcome {
	case task.OutcomeLost:
		return cmp.Or(why, "nobody saw how it ended")
	case task.OutcomeTimedOut:
		return cmp.Or(why, "its time was up")
	}
	return cmp.Or(why, "no reason given")
}

// line returns the first line of a text, without what looks like a secret and what does not print, cut to limit runes.
func line(text string, limit int) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	text = strings.TrimSpace(printable(command.Mask(text)))
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return text
}

// gather makes one note of many.
func gather(notes []Note) []Note {
	if len(notes) <= separate {
		return notes
	}
	all := Note{Title: fmt.Sprintf("%d tasks have ended", len(notes))}
	var failed int
	for _, note := range notes {
		if note.Failed {
			failed++
		}
	}
	all.Failed = failed > 0
	all.Body = fmt.Sprintf("%d done, %d failed. durablectl list shows them.", len(notes)-failed, failed)
	return []Note{all}
}
