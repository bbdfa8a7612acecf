package daemon_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"durable/ipc/client"
	"durable/ipc/polltest"
	"durable/ipc/task"
)

var (
	surviveRounds   = flag.Int("survive-rounds", 3, "SIGKILLs of the daemon in TestCommandsOutliveTheDaemon")
	surviveCommands = flag.Int("survive-commands", 40, "commands that run meanwhile")
	windowKills     = flag.Int("window-kills", 20, "SIGKILLs in TestStartWindow")
)

// ending is how one of the commands under test ends, and what must be said of it.
type commandEnd struct {
	how     string // the last line of its script
	status  task.Status
	outcome task.Outcome
	detail  string // in the error's details, "name=value"
}

var commandEnds = []commandEnd{
	{"exit 0", task.StatusCompleted, task.OutcomeSucceeded, ""},
	{"exit 7", task.StatusFailed, task.OutcomeFailed, "exit_code=7"},
	{"ulimit -c 0; kill -SEGV $$", task.StatusFailed, task.OutcomeSignaled, "signal=SIGSEGV"},
	{"kill -TERM $$", task.StatusFailed, task.OutcomeSignaled, "signal=SIGTERM"},
}

// counting prints numbered lines until the file GO is there, then a last one, and ends.
const counting = `i=0
while [ ! -e "$1" ]; do i=$((i+1)); echo "line $i"; sleep 0.3; done
echo "last $i"
`

// fleet is a number of commands that run under one daemon after the other.
type fleet struct {
	t     *testing.T
	dir   string
	gate  [2]string // the files that let the first and the second half end
	tasks []task.Task
}

func (f *fleet) end(i int) commandEnd { return commandEnds[i%len(commandEnds)] }
func (f *fleet) half(i int) int       { return i * 2 / len(f.tasks) }

// launch starts n commands and returns when all of them run.
func (f *fleet) launch(n int) {
	f.t.Helper()
	c := dial(f.dir, client.Options{Via: task.ViaCLI})
	defer closeClient(c)
	f.tasks = make([]task.Task, n)
	for i := range n {
		script := counting + f.end(i).how
		f.tasks[i] = submitCommand(f.t, c, map[string]any{
			"command": []string{"/bin/sh", "-c", script, "sh", f.gate[f.half(i)]}, "cwd": "/",
		})
	}
	for _, t := range f.tasks {
		awaitTask(f.t, c, t.ID, func(t task.Task) bool { return t.Phase == task.PhaseRunning })
	}
}

func submitCommand(t testing.TB, c *client.Client, params map[string]any) task.Task {
	t.Helper()
	raw, err := json.Marshal(params)
	if err != nil {
		t.Fatal(err)
	}
	made, err := c.Submit(t.Context(), task.Spec{Kind: "command", Params: raw}, "")
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// awaitTask follows a task until it is as wanted; a task that has ended otherwise fails the test.
func awaitTask(t testing.TB, c *client.Client, id task.ID, wanted func(task.Task) bool) task.Task {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := c.Events(ctx, task.EventQuery{Task: id.Ref(), Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	for {
		now, err := c.Get(ctx, id.Ref())
		if err != nil {
			t.Fatal(err)
		}
		if wanted(now) {
			return now
		}
		if now.Status.Terminal() {
			t.Fatalf("task %d ended %s (%s): %v", now.Number, now.Status, now.Outcome, now.Error)
		}
		if _, err := stream.Next(); err != nil {
			t.Fatalf("task %d is %s (%s): %v", now.Number, now.Status, now.Phase, err)
		}
	}
}

// adopted waits until the daemon holds n attempts, and returns how long that took from the moment it answered.
func adopted(t testing.TB, dir string, n int) time.Duration {
	t.Helper()
	c := dial(dir, client.Options{})
	defer closeClient(c)
	began := time.Now()
	polltest.Until(t, patience, func() error {
		info, err := c.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if info.Active < n {
			return fmt.Errorf("%d of %d attempts", info.Active, n)
		}
		return nil
	})
	return time.Since(began)
}

// TestCommandsOutliveTheDaemon kills the daemon under running commands, again and again: all run on, are found
// again, and tell how they ended. One half ends under a daemon, the other while there is none.
func TestCommandsOutliveTheDaemon(t *testing.T) {
	dir := shortDir(t)
	env := withShim(t, *surviveCommands)
	p := start(t, dir, "", env...).up()
	f := newFleet(t, dir)
	f.launch(*surviveCommands)
	slowest := outlive(t, f, func() *process {
		p.kill()
		p = start(t, dir, "", env...).up()
		return p
	}, *surviveRounds)
	p.kill()
	f.release(1)
	f.awaitProcesses(1)
	start(t, dir, "", env...).up()
	f.check(1)
	t.Logf("%d commands, %d SIGKILLs: adopted in %s at the most", *surviveCommands, *surviveRounds+1, slowest)
}

func newFleet(t *testing.T, dir string) *fleet {
	t.Helper()
	out := t.TempDir()
	f := &fleet{t: t, dir: dir, gate: [2]string{filepath.Join(out, "go0"), filepath.Join(out, "go1")}}
	t.Cleanup(func() { // whatever failed, no command stays
		f.release(0)
		f.release(1)
	})
	return f
}

// outlive goes through the rounds, and then lets the first half end under the last daemon.
func outlive(t *testing.T, f *fleet, again func() *process, rounds int) (slowest time.Duration) {
	t.Helper()
	for range rounds {
		again()
		slowest = max(slowest, adopted(t, f.dir, len(f.tasks)))
	}
	f.release(0)
	f.check(0)
	return slowest
}

// release lets a half of the commands end.
func (f *fleet) release(half int) {
	if err := os.WriteFile(f.gate[half], nil, 0o600); err != nil {
		f.t.Error(err)
	}
}

// awaitProcesses waits until no program of that half is there any more, by what the kernel says of command lines.
func (f *fleet) awaitProcesses(half int) {
	f.t.Helper()
	gone(f.t, f.gate[half], patience)
}

// processesWith returns the processes that have word in their command lines.
func processesWith(word string) (pids []int) {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		line, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(line, []byte(word)) {
			continue // it has ended, or is another's
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// check waits for the end of that half and holds it against what the programs did.
func (f *fleet) check(half int) {
	f.t.Helper()
	c := dial(f.dir, client.Options{})
	defer closeClient(c)
	for i, made := range f.tasks {
		if f.half(i) != half {
			continue
		}
		done, err := c.Wait(f.t.Context(), made.ID.Ref(), patience)
		if err != nil {
			f.t.Fatal(err)
		}
		want := f.end(i)
		if done.Status != want.status || done.Outcome != want.outcome || done.Attempt != 1 {
			f.t.Errorf("task %d (%s): %s, %s, attempt %d, %v; want %s, %s, attempt 1", done.Number, want.how,
				done.Status, done.Outcome, done.Attempt, done.Error, want.status, want.outcome)
		}
		if name, value, ok := strings.Cut(want.detail, "="); ok && (done.Error == nil || fmt.Sprint(done.Error.Details[name]) != value) {
			f.t.Errorf("task %d (%s): %+v, want %s", done.Number, want.how, done.Error, want.detail)
		}
		if err := counted(readLog(f.t, c, done, task.StreamStdout)); err != nil {
			f.t.Errorf("task %d: %v", done.Number, err)
		}
	}
}

func readLog(t testing.TB, c *client.Client, of task.Task, stream string) []byte {
	t.Helper()
	log, err := c.Log(t.Context(), of.ID.Ref(), task.LogQuery{Stream: stream, Attempt: of.Attempt})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Body.Close() }()
	b, err := io.ReadAll(log.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// counted checks the log of a program that counts: no gap, nothing doubled, and its last line.
func counted(log []byte) error {
	n := 0
	lines := strings.Split(string(log), "\n")
	if len(lines) < 2 || lines[len(lines)-1] != "" {
		return fmt.Errorf("the log does not end with a line: %.80q", log)
	}
	lines = lines[:len(lines)-1]
	for _, line := range lines[:len(lines)-1] {
		n++
		if line != fmt.Sprintf("line %d", n) {
			return fmt.Errorf("line %d of the log: %q", n, line)
		}
	}
	if last := lines[len(lines)-1]; last != fmt.Sprintf("last %d", n) {
		return fmt.Errorf("last line of the log after %d: %q", n, last)
	}
	return nil
}

// TestCounted shows that the judge of the logs can say no.
func TestCounted(t *testing.T) {
	for log, good := range map[string]bool{
		"line 1\nline 2\nlast 2\n":         true,
		"last 0\n":                         true,
		"line 1\nline 3\nlast 3\n":         false,
		"line 1\nline 1\nline 2\nlast 2\n": false,
		"line 1\nline 2\n":                 false,
		"line 1\nlast 1":                   false,
		"":                                 false,
	} {
		if err := counted([]byte(log)); (err == nil) != good {
			t.Errorf("%q: %v", log, err)
		}
	}
}
