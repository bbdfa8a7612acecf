//go:build ci && linux

package install_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-cmp/cmp"

	"durable/ipc/task"
)

// copyRate of the migrations, in rows a second: they must not be done before what is to happen to them has happened.
const copyRate = 2000

// ledger holds a service to what it has accepted: after whatever happens, every task is there, in the attempt that it must be in, its
// program alive and not begun twice; and what has ended stays as it ended, with the exit status that the program really had.
type ledger struct {
	s     *scope
	tasks map[string]*promise // by number
}

// promise is a task, and what is known of it.
type promise struct {
	number  string
	name    string // of its files
	exit    int    // what its program will exit with
	rows    int    // of a migration; 0: it is a command
	attempt int    // the one that runs; of a migration: at least
	program int    // of a command: the process that runs
	ended   *task.Task
}

// command submits one that runs until it is released, then exits so. Each time that it is begun it leaves its process's number.
func (l *ledger) command(exit int) *promise {
	l.s.t.Helper()
	p := &promise{name: fmt.Sprintf("command-%d", len(l.tasks)), exit: exit, attempt: 1}
	gate := filepath.Join(l.s.home, p.name)
	p.number = l.s.ctl("run", "--cwd", "/", "--", "sh", "-c",
		fmt.Sprintf("echo $$ >> %[1]s.begun; while [ ! -e %[1]s ]; do sleep 0.1; done; exit %[2]d", gate, exit))
	l.tasks[p.number] = p
	l.awaitBegun(p)
	return p
}

// copies submits a migration of so many rows.
func (l *ledger) copies(rows int) *promise {
	l.s.t.Helper()
	p := &promise{name: fmt.Sprintf("copy-%d", len(l.tasks)), rows: rows, attempt: 1}
	from := filepath.Join(l.s.home, p.name)
	var text strings.Builder
	text.WriteString("id,name\n")
	for i := range rows {
		fmt.Fprintf(&text, "%d,row\n", i)
	}
	if err := os.WriteFile(l.s.at(from+".csv"), []byte(text.String()), 0o644); err != nil {
		l.s.t.Fatal(err)
	}
	p.number = l.s.ctl("start", "migration", from+".csv", from+".jsonl", "--rate-limit", strconv.Itoa(copyRate))
	l.tasks[p.number] = p
	l.checkpoint(p)
	return p
}

// checkpoint waits for one that the copy makes from now on, or for its end.
func (l *ledger) checkpoint(p *promise) {
	l.s.t.Helper()
	before := l.s.checkpoints(p.number)
	l.s.until("a checkpoint of the copy", func() bool {
		return l.s.checkpoints(p.number) > before || l.s.task(p.number).Status.Terminal()
	})
}

// ran takes up a command that was waited for.
func (l *ledger) ran(number string) {
	l.s.t.Helper()
	got := l.s.task(number)
	if got.Status != task.StatusCompleted {
		l.s.t.Errorf("task %s: %s, %+v", number, got.Status, got.Error)
	}
	l.tasks[number] = &promise{number: number, ended: &got}
}

func (l *ledger) release(p *promise) {
	l.s.t.Helper()
	if err := os.WriteFile(l.s.at(filepath.Join(l.s.home, p.name)), nil, 0o644); err != nil {
		l.s.t.Fatal(err)
	}
}

// begun are the processes that were the task's program, in order.
func (l *ledger) begun(p *promise) []string {
	l.s.t.Helper()
	b, err := os.ReadFile(l.s.at(filepath.Join(l.s.home, p.name+".begun")))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.s.t.Fatal(err)
	}
	return strings.Fields(string(b))
}

// awaitBegun waits for the program of the attempt that the task must be in.
func (l *ledger) awaitBegun(p *promise) {
	l.s.t.Helper()
	l.s.until("the program of task "+p.number, func() bool { return len(l.begun(p)) >= p.attempt })
	p.program, _ = strconv.Atoi(l.begun(p)[p.attempt-1])
}

// wentDown: the machine has, and with it all programs. What had not ended goes on in another attempt.
func (l *ledger) wentDown() {
	for _, p := range l.tasks {
		if p.ended != nil {
			continue
		}
		p.attempt++
		if p.rows == 0 {
			l.awaitBegun(p)
		}
	}
}

// holds checks every task, after an event; of the released ones it waits for the end.
func (l *ledger) holds(event string, released ...*promise) {
	l.s.t.Helper()
	for _, p := range l.tasks {
		l.settles(p, slices.Contains(released, p))
	}
	var list task.TaskList
	if err := l.s.get("/v1/tasks?limit=500", &list); err != nil {
		l.s.t.Fatalf("after %s: %v", event, err)
	}
	there := map[string]task.Task{}
	for _, t := range list.Tasks {
		there[strconv.FormatUint(t.Number, 10)] = t
	}
	if got, want := slices.Sorted(maps.Keys(there)), slices.Sorted(maps.Keys(l.tasks)); !slices.Equal(got, want) {
		l.s.t.Errorf("after %s: the tasks %v, want %v", event, got, want)
	}
	submitted, endings := l.journal()
	for number, p := range l.tasks {
		if bad := l.looks(p, there[number], slices.Contains(released, p)); bad != "" {
			l.s.t.Errorf("after %s: task %s (%s): %s", event, number, p.name, bad)
		}
		if p.rows > 0 && p.ended == nil && endings[number] > 0 { // a copy ends by itself, also between two looks
			if bad := l.looks(p, l.s.task(number), true); bad != "" {
				l.s.t.Errorf("after %s: task %s (%s): %s", event, number, p.name, bad)
			}
		}
		want := map[bool]int{true: 1}[p.ended != nil]
		if submitted[number] != 1 || endings[number] != want {
			l.s.t.Errorf("after %s: task %s was submitted %d times and has ended %d times, want 1 and %d", event, number, submitted[number], endings[number], want)
		}
	}
}

// settles waits until a released task has ended, and until a migration runs that a daemon has just found again.
func (l *ledger) settles(p *promise, released bool) {
	if p.ended != nil || !released && p.rows == 0 {
		return
	}
	l.s.until("task "+p.number+" goes on", func() bool {
		got := l.s.task(p.number)
		if got.Phase == task.PhasePaused {
			l.s.t.Fatalf("task %s is paused: %s, %+v", p.number, got.Reason, got.Attempts)
		}
		return got.Status.Terminal() || !released && got.Phase == task.PhaseRunning
	})
}

// looks says what is wrong with a task; "": nothing.
func (l *ledger) looks(p *promise, got task.Task, released bool) string {
	switch {
	case p.ended != nil:
		if diff := cmp.Diff(*p.ended, got); diff != "" {
			return "it had ended otherwise: -then +now\n" + diff
		}
		return ""
	case released, p.rows > 0 && got.Status.Terminal(): // a copy ends by itself
		p.ended = &got
		return l.endedWell(p, got)
	case got.Status != task.StatusRunning:
		return fmt.Sprintf("%s, %s %s, %+v; it must run", got.Status, got.Phase, got.Reason, got.Error)
	case got.Attempt < p.attempt, got.Attempt > p.attempt && p.rows == 0:
		return fmt.Sprintf("attempt %d, want %d: %+v", got.Attempt, p.attempt, got.Attempts)
	case p.rows > 0:
		p.attempt = got.Attempt
		return interrupted(got)
	}
	return strings.Join(slices.DeleteFunc([]string{interrupted(got), l.lives(p)}, func(s string) bool { return s == "" }), "; ")
}

// endedWell says what is wrong with an ending.
func (l *ledger) endedWell(p *promise, got task.Task) string {
	want, message := task.StatusCompleted, ""
	if p.exit != 0 {
		want, message = task.StatusFailed, fmt.Sprintf("exit status %d", p.exit)
	}
	said := ""
	if got.Error != nil {
		said = got.Error.Message
	}
	switch begun := l.begun(p); {
	case got.Status != want || said != message:
		return fmt.Sprintf("%s, %q; want %s, %q", got.Status, said, want, message)
	case p.rows > 0:
		return strings.TrimSpace(interrupted(got) + " " + l.copied(p))
	case got.Attempt != p.attempt || len(begun) != p.attempt:
		return fmt.Sprintf("it ended in attempt %d, its program was begun %d times, want %d", got.Attempt, len(begun), p.attempt)
	}
	return ""
}

// interrupted: that is how each earlier attempt ended, and no other way.
func interrupted(got task.Task) string {
	for _, a := range got.Attempts {
		if a.Number < got.Attempt && a.Outcome != task.OutcomeInterrupted {
			return fmt.Sprintf("attempt %d was %s: %s", a.Number, a.Outcome, a.Error)
		}
	}
	return ""
}

// lives: the program is the process that it was, and there is no second one.
func (l *ledger) lives(p *promise) string {
	if begun := l.begun(p); len(begun) != p.attempt {
		return fmt.Sprintf("its program was begun %d times, want %d", len(begun), p.attempt)
	}
	line, err := os.ReadFile(l.s.at(fmt.Sprintf("/proc/%d/cmdline", p.program)))
	if err != nil || !strings.Contains(string(line), p.name+".begun") {
		return fmt.Sprintf("its program, process %d, is gone: %q, %v", p.program, line, err)
	}
	return ""
}

// copied: each row is there once, and no attempt went back behind the one before.
func (l *ledger) copied(p *promise) string {
	b, err := os.ReadFile(l.s.at(filepath.Join(l.s.home, p.name+".jsonl")))
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	different := map[string]bool{}
	for _, row := range all {
		different[row] = true
	}
	if len(all) != p.rows || len(different) != p.rows {
		return fmt.Sprintf("the copy has %d rows, %d different ones, want %d", len(all), len(different), p.rows)
	}
	var last int64
	for _, e := range l.events() {
		if e.Type != task.EventCheckpoint || strconv.FormatUint(e.Task.Number, 10) != p.number {
			continue
		}
		if e.Task.Progress.Done < last {
			return fmt.Sprintf("attempt %d began at row %d, behind row %d", e.Task.Attempt, e.Task.Progress.Done, last)
		}
		last = e.Task.Progress.Done
	}
	if last == 0 {
		return "no checkpoint says how far it was"
	}
	return ""
}

func (l *ledger) events() (all []task.Event) {
	l.s.t.Helper()
	resp, err := l.s.dial(l.s.socket()).Get("http://durable/v1/events?after=" + string(task.CursorStart))
	if err != nil {
		l.s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	for dec := json.NewDecoder(resp.Body); ; {
		var e task.Event
		if err := dec.Decode(&e); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			l.s.t.Fatal(err)
		}
		all = append(all, e)
	}
}

// journal counts, for each task, how often it was submitted and how often it ended.
func (l *ledger) journal() (submitted, endings map[string]int) {
	submitted, endings = map[string]int{}, map[string]int{}
	for _, e := range l.events() {
		if e.Task == nil {
			continue
		}
		number := strconv.FormatUint(e.Task.Number, 10)
		switch {
		case e.Type == task.EventSubmitted:
			submitted[number]++
		case e.Type == task.EventStatus && e.Task.Status.Terminal():
			endings[number]++
		}
	}
	return submitted, endings
}
