package render

import (
	"strings"
	"testing"
	"time"

	"durable/ipc/task"
)

func TestDuration(t *testing.T) {
	const day = 24 * time.Hour
	for d, want := range map[time.Duration]string{
		-time.Second:                         "0s",
		0:                                    "0s",
		340 * time.Millisecond:               "0.3s",
		9940 * time.Millisecond:              "9.9s",
		9960 * time.Millisecond:              "10s",
		59400 * time.Millisecond:             "59s",
		59600 * time.Millisecond:             "1m",
		3*time.Minute + 8*time.Second:        "3m8s",
		time.Hour - time.Millisecond:         "1h",
		2*time.Hour + 5*time.Minute:          "2h5m",
		day - time.Second:                    "1d",
		3*day + 4*time.Hour + 20*time.Minute: "3d4h",
		400 * day:                            "400d",
	} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%s) = %q, want %q", d, got, want)
		}
	}
}

func TestAge(t *testing.T) {
	now := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	for ago, want := range map[time.Duration]string{
		-time.Hour:             "now", // a clock that was set back
		900 * time.Millisecond: "now",
		42 * time.Second:       "42s",
		119 * time.Second:      "1m",
		47 * time.Hour:         "47h",
		48 * time.Hour:         "2d",
	} {
		if got := Age(now.Add(-ago), now); got != want {
			t.Errorf("Age of %s = %q, want %q", ago, got, want)
		}
	}
}

func TestPercent(t *testing.T) {
	for _, tc := range []struct {
		done  int64
		total *int64
		want  string
	}{
		{0, nil, ""},
		{0, task.Total(10), "0%"},
		{999, task.Total(1000), "99%"}, // 100 means all
		{1000, task.Total(1000), "100%"},
		{2000, task.Total(1000), "100%"},
		{0, task.Total(0), "100%"},
	} {
		if got := Percent(task.Progress{Done: tc.done, Total: tc.total}); got != tc.want {
			t.Errorf("Percent(%d of %v) = %q, want %q", tc.done, tc.total, got, tc.want)
		}
	}
}

func TestRate(t *testing.T) {
	for _, tc := range []struct {
		rate float64
		unit string
		want string
	}{
		{0.42, "", "0.4/s"}, {512.5, "records", "512 records/s"}, {123456, "records", "123,456 records/s"},
	} {
		if got := Rate(tc.rate, tc.unit); got != tc.want {
			t.Errorf("Rate(%v, %q) = %q, want %q", tc.rate, tc.unit, got, tc.want)
		}
	}
}

func TestBar(t *testing.T) {
	for percent, want := range map[float64]string{
		-5: "░░░░", 0: "░░░░", 50: "██░░", 62.5: "██▌░", 100: "████", 250: "████",
	} {
		if got := Bar(percent, 4); got != want {
			t.Errorf("Bar(%v) = %q, want %q", percent, got, want)
		}
	}
	for percent := 0.0; percent <= 100; percent += 0.3 {
		if got := Width(Bar(percent, 17)); got != 17 {
			t.Fatalf("Bar(%v, 17) takes %d columns", percent, got)
		}
	}
	if got := Bar(50, 0); got != "" {
		t.Errorf("Bar of no width = %q", got)
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                          "plain",
		" a\tb\nc ":                      "a b c",
		"\x1b[31mred\x1b[0m":             "[31mred[0m", // no escape, so no colour
		"title\x1b]0;owned\x07":          "title]0;owned",
		"\u009b2J":                       "2J", // C1 control sequence introducer
		"abc\u202etxt.exe":               "abctxt.exe",
		"日本語":                            "日本語",
		string([]byte{'a', 0xff, 'b'}):   "a?b",
		"back\b\bspace and \x00 nothing": "backspace and  nothing",
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestFirstLine(t *testing.T) {
	if got := FirstLine("\n \t\nrow 7: 3 fields, want 6\nstack"); got != "row 7: 3 fields, want 6" {
		t.Errorf("FirstLine = %q", got)
	}
}

func TestTruncateCountsColumns(t *testing.T) {
	for _, tc := range []struct {
		in   string
		n    int
		want string
	}{
		{"orders", 6, "orders"}, {"orders", 4, "ord…"}, {"日本語", 6, "日本語"}, {"日本語", 5, "日本…"}, {"日本語", 4, "日…"}, {"x", 0, ""},
	} {
		got := Truncate(tc.in, tc.n)
		if got != tc.want || Width(got) > tc.n {
			t.Errorf("Truncate(%q, %d) = %q of %d columns, want %q", tc.in, tc.n, got, Width(got), tc.want)
		}
	}
}

func TestState(t *testing.T) {
	for _, tc := range []struct {
		status  task.Status
		phase   task.Phase
		outcome task.Outcome
		want    string
	}{
		{task.StatusPending, task.PhaseQueued, "", "pending/queued"},
		{task.StatusRunning, task.PhaseRunning, "", "running"},
		{task.StatusRunning, task.PhaseStopping, task.OutcomeInterrupted, "running/stopping"},
		{task.StatusCompleted, "", task.OutcomeSucceeded, "completed"},
		{task.StatusFailed, "", task.OutcomeFailed, "failed"},
		{task.StatusFailed, "", task.OutcomeLost, "failed/lost"},
		{task.StatusCancelled, "", task.OutcomeFailed, "cancelled"}, // the cancel decides
	} {
		if got := State(tc.status, tc.phase, tc.outcome); got != tc.want {
			t.Errorf("State(%s, %s, %s) = %q, want %q", tc.status, tc.phase, tc.outcome, got, tc.want)
		}
	}
}

// FuzzClean: whatever a task is called, it stays one line that cannot control a terminal.
func FuzzClean(f *testing.F) {
	f.Add("orders.csv -> app.db")
	f.Add("\x1b]52;c;aGk=\x07\r\n\u202e")
	f.Fuzz(func(t *testing.T, s string) {
		got := Clean(s)
		for _, r := range got {
			if r < ' ' || r >= 0x7f && r < 0xa0 {
				t.Fatalf("Clean(%q) = %q holds %q", s, got, r)
			}
		}
		if strings.TrimSpace(got) != got {
			t.Fatalf("Clean(%q) = %q has blanks around it", s, got)
		}
		if line := Truncate(got, 10); Width(line) > 10 {
			t.Fatalf("Truncate(%q, 10) takes %d columns", got, Width(line))
		}
	})
}
