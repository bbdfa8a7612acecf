package render

import (
	"strings"
	"testing"
	"time"

	"durable/ipc/task"
)

// TestCompletedIsNotHalfDone: a program that ended well without a last word on its progress shows no percentage that says otherwise. One that
// failed shows how far it came.
func TestCompletedIsNotHalfDone(t *testing.T) {
	for _, c := range []struct {
		status task.Status
		done   int64
		want   string // of the column; empty: nothing with a percent sign anywhere
	}{
		{task.StatusCompleted, 50, ""}, {task.StatusCompleted, 100, "100%"}, {task.StatusFailed, 50, "50%"},
		{task.StatusCancelled, 50, "50%"}, {task.StatusRunning, 50, "50%"},
	} {
		made := task.Task{Number: 1, Kind: "command", Status: c.status, Progress: task.Progress{Done: c.done, Total: task.Total(100), Unit: "percent"}}
		s := Screen{}
		if got := s.progressCell(made); got != c.want {
			t.Errorf("%s at %d: %q in the list, want %q", c.status, c.done, got, c.want)
		}
		if got := s.progress(made); strings.Contains(got, "%") != (c.want != "") {
			t.Errorf("%s at %d: %q in detail", c.status, c.done, got)
		}
		if line, ok := new(Changes).Line(s, time.Now(), *made.Summary()); !ok || strings.Contains(line, "%") != (c.want != "") {
			t.Errorf("%s at %d: %q as a change", c.status, c.done, line)
		}
	}
}
