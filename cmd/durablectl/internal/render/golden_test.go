package render

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"durable/ipc/task"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

var now = time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)

// The screens on which everything is drawn.
var screens = map[string]Screen{
	"pipe":   {Now: now},
	"narrow": {Now: now, Width: 60},
	"wide":   {Now: now, Width: 120, Color: true},
}

// tasks are one of each state that looks different; texts are as bad as they may come.
func tasks(t *testing.T) []task.Task {
	t.Helper()
	raw, err := os.ReadFile("testdata/tasks.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []task.Task
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// golden compares what is drawn on each screen with a file.
func golden(t *testing.T, name string, draw func(Screen) string) {
	t.Helper()
	for on, s := range screens {
		t.Run(on, func(t *testing.T) {
			got := draw(s)
			for line := range strings.Lines(got) {
				if line = plainText(strings.TrimSuffix(line, "\n")); strings.TrimRight(line, " ") != line {
					t.Errorf("blanks at the end of %q", line)
				}
				if strings.Contains(line, "\x1b") {
					t.Errorf("an escape sequence that is not ours in %q", line)
				}
			}
			file := filepath.Join("testdata", name+"."+on+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got; -update writes it):\n%s", file, diff)
			}
		})
	}
}

// plainText removes our own colours, the only escape sequences that there may be.
func plainText(s string) string {
	for _, c := range []Color{Bold, Faint, Red, Green, Yellow, Cyan} {
		s = strings.ReplaceAll(s, "\x1b["+string(c)+"m", "")
	}
	return strings.ReplaceAll(s, "\x1b[0m", "")
}

func TestList(t *testing.T) {
	golden(t, "list", func(s Screen) string { return s.List(tasks(t)) })
}

// TestFits: tables and lines stay within any screen of a sane width.
func TestFits(t *testing.T) {
	all := tasks(t)
	for width := 56; width < 140; width++ {
		s := Screen{Now: now, Width: width, Color: true}
		ended := slices.DeleteFunc(slices.Clone(all), func(t task.Task) bool { return !t.Status.Terminal() })
		text := s.List(all) + s.running(all) + s.ended(ended)
		for _, task := range all {
			text += s.Line(*task.Summary(), width) + "\n"
		}
		for line := range strings.Lines(plainText(text)) {
			if line = strings.TrimSuffix(line, "\n"); Width(line) > width {
				t.Errorf("%d columns on a screen of %d: %q", Width(line), width, line)
			}
		}
	}
}

func TestDetail(t *testing.T) {
	golden(t, "detail", func(s Screen) string {
		var all []string
		for _, one := range tasks(t) {
			var left []task.Artifact
			if one.Number == 31 {
				left = []task.Artifact{{Name: "report.pdf", Size: 3 << 20, ModTime: now}, {Name: "logs/a\x1b[31m.txt", Size: 12, ModTime: now}}
			}
			all = append(all, s.Detail(one, left))
		}
		return strings.Join(all, "----\n")
	})
}

func TestEnding(t *testing.T) {
	golden(t, "ending", func(s Screen) string {
		text := ""
		for _, task := range tasks(t) {
			if task.Status.Terminal() {
				text += s.Ending(task)
			}
		}
		return text
	})
}

func TestLine(t *testing.T) {
	golden(t, "line", func(s Screen) string {
		text := ""
		for _, task := range tasks(t) {
			text += s.Line(*task.Summary(), s.Width) + "\n"
		}
		return text
	})
}

func TestStatus(t *testing.T) {
	info := task.Info{
		Version: "v1.2.3", PID: 4242, Uptime: task.Duration(26 * time.Hour), Lives: task.LivesUntilReboot,
		Paths:  task.Paths{State: "/home/ann/.local/state/durable"},
		Disk:   task.Disk{Store: 1 << 20, Tasks: 30 << 20, Free: 12 << 30},
		Counts: map[task.Status]int{task.StatusRunning: 2, task.StatusCompleted: 12345, task.StatusFailed: 1},
		Slots:  4, Active: 2, Warnings: []string{"1 record was set aside: see quarantine.jsonl"},
	}
	golden(t, "status", func(s Screen) string {
		page := Overview{Info: info, Client: "v1.3.0", Install: "durablectl service install"}
		for _, t := range tasks(t) {
			switch {
			case t.Status == task.StatusRunning:
				page.Running = append(page.Running, t)
			case t.Status == task.StatusPending:
				page.Pending = append(page.Pending, t)
			default:
				page.Ended = append(page.Ended, t)
			}
		}
		return s.Status(page)
	})
}

func TestStatusOfNothing(t *testing.T) {
	golden(t, "status-empty", func(s Screen) string {
		return s.Status(Overview{Info: task.Info{Version: "v1", Lives: task.LivesService}, Client: "v1"})
	})
}

func TestLives(t *testing.T) {
	for _, tc := range []struct {
		lives   task.Lives
		install string
		want    string
	}{
		{task.LivesService, "x", "service (starts at boot)"},
		{task.LivesUntilLogout, "x", "until logout: x"},
		{task.LivesUntilLogout, "", "until logout"},
		{task.LivesUntilReboot, "durablectl service install", "until reboot: durablectl service install"},
		{task.LivesUntilReboot, "", "until reboot"},
		{"for_ever", "", "for_ever"},
	} {
		if got := Lives(tc.lives, tc.install); got != tc.want {
			t.Errorf("Lives(%s, %q) = %q, want %q", tc.lives, tc.install, got, tc.want)
		}
	}
}

// TestChanges: a line for each change of state, and few for what is only progress.
func TestChanges(t *testing.T) {
	var c Changes
	at := now
	sum := task.Summary{Number: 42, Status: task.StatusPending, Phase: task.PhaseQueued}
	lines := 0
	step := func(after time.Duration, change func()) bool {
		at = at.Add(after)
		change()
		_, ok := c.Line(Screen{Now: now}, at, sum)
		if ok {
			lines++
		}
		return ok
	}
	for _, tc := range []struct {
		name   string
		after  time.Duration
		change func()
		want   bool
	}{
		{"first", 0, func() {}, true},
		{"nothing new", time.Minute, func() {}, false},
		{"starts", 0, func() { sum.Status, sum.Phase, sum.Attempt = task.StatusRunning, task.PhaseRunning, 1 }, true},
		{"a little", time.Second, func() { sum.Progress = task.Progress{Done: 5, Total: task.Total(100)} }, false},
		{"a lot", 0, func() { sum.Progress.Done = 15 }, true},
		{"a little, much later", 11 * time.Second, func() { sum.Progress.Done = 16 }, true},
		{"error", 0, func() { sum.Error = "disk full" }, true},
		{"phase", 0, func() { sum.Phase = task.PhaseStopping }, true},
	} {
		if got := step(tc.after, tc.change); got != tc.want {
			t.Errorf("%s: line %v, want %v", tc.name, got, tc.want)
		}
	}
	before := lines
	for range 10_000 { // a fast job must not flood a log file
		step(time.Millisecond, func() { sum.Progress.Done++; sum.Progress.Total = task.Total(1_000_000) })
	}
	if got := lines - before; got > 3 {
		t.Errorf("10 s of 10,000 small steps gave %d lines", got)
	}
}

func TestEvent(t *testing.T) {
	golden(t, "events", func(s Screen) string {
		running := task.Summary{Number: 42, Title: "orders.csv -> app.db", Status: task.StatusRunning, Phase: task.PhaseRunning,
			Progress: task.Progress{Done: 34, Total: task.Total(100)}}
		text := ""
		for _, e := range []task.Event{
			{Time: now, Type: task.EventProgress, TaskID: "019a", Task: &running},
			{Time: now, Type: task.EventRemoved, TaskID: "019a"},
			{Time: now, Type: task.EventDaemon, Message: "started\x1b[2J"},
		} {
			text += s.Event(e)
		}
		return text
	})
}

func TestFields(t *testing.T) {
	for raw, want := range map[string][]Field{
		``:     nil,
		`null`: nil,
		`{"b":"x","a":12345678901234567890,"c":{"d":[1]},"e":null}`: {{"a", "12345678901234567890"}, {"b", "x"}, {"c", `{"d":[1]}`}, {"e", "null"}},
		`[1]`: {{"", "[1]"}},
	} {
		if diff := cmp.Diff(want, Fields(json.RawMessage(raw))); diff != "" {
			t.Errorf("Fields(%s) (-want +got):\n%s", raw, diff)
		}
	}
}
