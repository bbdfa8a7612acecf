package notify

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"durable/ipc/task"
)

// ended returns a task that ran for that long.
func ended(status task.Status, took time.Duration, change ...func(*task.Task)) task.Task {
	began := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	end := began.Add(took)
	t := task.Task{
		ID: "id", Number: 42, Kind: "command", Title: "make -j8", Status: status,
		Attempt: 1, CreatedAt: began, StartedAt: &began, CompletedAt: &end,
	}
	for _, f := range change {
		f(&t)
	}
	return t
}

func failure(message string) func(*task.Task) {
	return func(t *task.Task) { t.Error = task.Errorf(task.Unavailable, "%s", message) }
}

func TestSay(t *testing.T) {
	result := func(text string) func(*task.Task) {
		return func(t *task.Task) { t.Result = json.RawMessage(text) }
	}
	title := func(text string) func(*task.Task) { return func(t *task.Task) { t.Title = text } }
	for _, tt := range []struct {
		name string
		t    task.Task
		want Note // zero: none
	}{
		{"done", ended(task.StatusCompleted, 2*time.Minute), Note{Title: "Done: make -j8", Body: "Task 42, after 2m0s."}},
		{"with an exit status", ended(task.StatusCompleted, 3*time.Hour+4*time.Second, result(`{"exit_code":0}`)),
			Note{Title: "Done: make -j8", Body: "Task 42, after 3h0m4s, exit status 0."}},
		{"another result", ended(task.StatusCompleted, time.Minute, result(`{"exit_code":"none"}`)), Note{Title: "Done: make -j8", Body: "Task 42, after 1m0s."}},
		{"a minute, not quite", ended(task.StatusCompleted, time.Minute-time.Millisecond), Note{}},
		{"failed at once: who started it still looks", ended(task.StatusFailed, time.Second, failure("exit status 1")), Note{}},
		{"failed", ended(task.StatusFailed, time.Hour, failure("exit status 2")), Note{Title: "Failed: make -j8", Body: "Task 42, after 1h0m0s: exit status 2", Failed: true}},
		{"failed, many lines", ended(task.StatusFailed, time.Hour, failure("one\ntwo")), Note{Title: "Failed: make -j8", Body: "Task 42, after 1h0m0s: one", Failed: true}},
		{"lost", ended(task.StatusFailed, time.Hour, func(t *task.Task) { t.Outcome = task.OutcomeLost }),
			Note{Title: "Failed: make -j8", Body: "Task 42, after 1h0m0s: nobody saw how it ended", Failed: true}},
		{"timed out", ended(task.StatusFailed, time.Hour, func(t *task.Task) { t.Outcome = task.OutcomeTimedOut }),
			Note{Title: "Failed: make -j8", Body: "Task 42, after 1h0m0s: its time was up", Failed: true}},
		{"cancelled", ended(task.StatusCancelled, time.Hour), Note{}},
		{"cancelled before it ran", ended(task.StatusCancelled, time.Hour, func(t *task.Task) { t.StartedAt = nil }), Note{}},
		{"running", ended(task.StatusRunning, time.Hour, func(t *task.Task) { t.CompletedAt = nil }), Note{}},
		{"waited for an hour, ran for a second", ended(task.StatusCompleted, time.Second, func(t *task.Task) { t.CreatedAt = t.CreatedAt.Add(-time.Hour) }), Note{}},
		{"a short last attempt", ended(task.StatusCompleted, time.Second, func(t *task.Task) {
			t.Attempts = []task.Attempt{{Number: 1, StartedAt: t.StartedAt.Add(-time.Hour)}, {Number: 2, StartedAt: *t.StartedAt}}
		}), Note{Title: "Done: make -j8", Body: "Task 42, after 1h0m1s."}},
		{"secrets", ended(task.StatusFailed, time.Hour, title("curl -H 'Authorization: Bearer abc123def456' postgres://me:hunter2@db"), failure("cannot reach postgres://me:hunter2@db")),
			Note{Title: "Failed: curl -H 'Authorization: ***' postgres://me:***@db", Body: "Task 42, after 1h0m0s: cannot reach postgres://me:***@db", Failed: true}},
		{"what does not print", ended(task.StatusCompleted, time.Hour, title("a\x1b[2J\u202eb\tc")), Note{Title: "Done: a[2Jb c", Body: "Task 42, after 1h0m0s."}},
		{"no title", ended(task.StatusCompleted, time.Hour, title(" \n")), Note{Title: "Done: command", Body: "Task 42, after 1h0m0s."}},
		{"a long title", ended(task.StatusCompleted, time.Hour, title(strings.Repeat("ä", 81))), Note{Title: "Done: " + strings.Repeat("ä", 79) + "…", Body: "Task 42, after 1h0m0s."}},
	} {
		got, ok := say(tt.t, time.Minute)
		if ok != (tt.want != Note{}) {
			t.Errorf("%s: %t", tt.name, ok)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.name, diff)
		}
	}
}

func TestGather(t *testing.T) {
	notes := func(failed ...bool) (notes []Note) {
		for i, f := range failed {
			notes = append(notes, Note{Title: fmt.Sprint(i), Failed: f})
		}
		return notes
	}
	if got := gather(notes(false, true, false)); len(got) != 3 {
		t.Errorf("three are %d", len(got))
	}
	want := []Note{{Title: "4 tasks have ended", Body: "3 done, 1 failed. durablectl list shows them.", Failed: true}}
	if diff := cmp.Diff(want, gather(notes(false, true, false, false))); diff != "" {
		t.Error(diff)
	}
	if got := gather(notes(false, false, false, false)); len(got) != 1 || got[0].Failed {
		t.Errorf("four good ones: %+v", got)
	}
}

// TestPlainText: what goes into a script, or into markup, means nothing there.
func TestPlainText(t *testing.T) {
	for in, want := range map[string]string{
		"make -j8":                          "make -j8",
		`$(calc) ${x} $env:PATH "@ ` + "`n": "＄(calc) ＄{x} ＄env:PATH '@ 'n",
		"]]></text><x/>":                    "]] ></text><x/>",
		"\u201cx\u201d":                     "'x'",
	} {
		if got := unscripted(in); got != want {
			t.Errorf("unscripted(%q) = %q, want %q", in, got, want)
		}
	}
	if got, want := escape(`<b>a & b</b>`), "&lt;b&gt;a &amp; b&lt;/b&gt;"; got != want {
		t.Errorf("escape: %q, want %q", got, want)
	}
}
