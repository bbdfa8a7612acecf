package daemon_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"durable/ipc/client"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// shimProgram builds durable-shim, once, and returns its folder.
var shimProgram = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "durable-shim")
	if err != nil {
		return "", err
	}
	atExit = append(atExit, func() { _ = os.RemoveAll(dir) })
	out, err := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "durable/cmd/durable-shim").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build durable-shim: %w\n%s", err, out)
	}
	return dir, nil
})

// withShim is the environment of a daemon that finds durable-shim, and has room for that many attempts.
func withShim(t testing.TB, slots int) []string {
	t.Helper()
	dir, err := shimProgram()
	if err != nil {
		t.Fatal(err)
	}
	return []string{"PATH=" + dir + string(filepath.ListSeparator) + os.Getenv("PATH"), fmt.Sprintf("%s=%d", envSlots, slots)}
}

// hasShell: the commands of the load are lines for a shell.
const hasShell = runtime.GOOS != "windows"

// commandKind is the kind of tasks that run programs.
const commandKind = "command"

// said is what a command of the load writes to its stdout, at least.
const said = "one\ntwo\nthree\n"

// command plans a program that tells the witness when it begins and when it ends, as a job does: it ends at once, or later, badly, or
// leaves something behind that the holder has to end.
func (l *load) command() *entry {
	end, dir := "exit 0", "/"
	var retry *task.Retry
	sleep := time.Duration(0)
	switch n := rand.IntN(100); {
	case n < 30:
	case n < 60:
		sleep = time.Duration(rand.IntN(300)) * time.Millisecond
	case n < 70:
		sleep = time.Second
	case n < 85:
		end = "exit 3"
		retry = &task.Retry{MaxAttempts: 3, Backoff: task.Duration(5 * time.Millisecond), MaxBackoff: task.Duration(20 * time.Millisecond)}
	default:
		end = "sleep 100 & (sleep 100 &) ; exit 0"
	}
	if chance(10) {
		dir = l.out
	}
	script := fmt.Sprintf(`say() { echo "$DURABLE_TASK_ID $DURABLE_ATTEMPT $$ $1 0" >> "$0"; }
say begin; echo one; sleep %.3f; echo two; echo three; say end; %s`, sleep.Seconds(), end)
	params := map[string]any{"command": []string{"/bin/sh", "-c", script, l.witness.path}, "cwd": dir, "grace": "50ms"}
	return &entry{spec: task.Spec{Kind: commandKind, Params: mustJSON(params), Retry: retry}, always: dir != "/"}
}

// approve lets a task go on that waits for a person, and sometimes says so twice.
func (l *load) approve(c *client.Client, e *entry) {
	if e.id == "" || e.spec.Kind != commandKind {
		return
	}
	for n := range 1 + rand.IntN(2) {
		key := task.Key(fmt.Sprintf("approve-%d-%s", n, e.key))
		if _, err := l.insist(func() (task.Task, error) {
			return c.Approve(l.ctx, e.id.Ref(), task.ApproveRequest{Always: e.always}, key)
		}); err != nil {
			if errors.Is(err, task.FailedPrecondition) {
				return // it has ended meanwhile: an earlier yes was for good, or came through unanswered; one that still waits never ends
			}
			l.ledger.breach(breachUnwelcome, "approve %s: %v", e.id, err)
			return
		}
		l.ledger.count("approvals", 1)
	}
}

// readSaid holds the log of a command that has succeeded against what it wrote.
func (l *load) readSaid(c *client.Client, e *entry) {
	if e.spec.Kind != commandKind || e.end == nil || e.end.Status != task.StatusCompleted {
		return
	}
	var got []byte
	_, err := l.insist(func() (task.Task, error) {
		log, err := c.Log(l.ctx, e.id.Ref(), task.LogQuery{Stream: task.StreamStdout, Attempt: e.end.Attempt})
		if err != nil {
			return task.Task{}, err
		}
		defer func() { _ = log.Body.Close() }()
		if got, err = io.ReadAll(log.Body); err != nil {
			err = task.Errorf(task.Unavailable, "the daemon died meanwhile: %w", err)
		}
		return task.Task{}, err
	})
	if err != nil {
		l.ledger.breach(breachUnwelcome, "log of %s: %v", e.id, err)
	} else if string(got) != said {
		l.ledger.breach(breachData, "log of %s: %q", e.id, got)
	}
	l.ledger.count("logs compared", 1)
}

// checkCommands: what runs under a holder was lost or interrupted by no death of a daemon, unless it had not begun.
func (h *house) checkCommands(tasks map[task.ID]task.Task, seen map[string]*testimony) {
	for id, t := range tasks {
		if t.Kind != commandKind {
			continue
		}
		w := seen[string(id)]
		for _, a := range t.Attempts {
			h.ledger.count("commands' attempts "+string(a.Outcome), 1)
			if begun := w != nil && w.attempts[a.Number]; a.Outcome == task.OutcomeLost || a.Outcome == task.OutcomeInterrupted && begun {
				h.ledger.breach(breachUnseen, "command %s: attempt %d is %s, and began: %t", id, a.Number, a.Outcome, begun)
			}
		}
		if w != nil && w.attempt > t.Attempt {
			h.ledger.breach(breachOverlap, "command %s ran in attempt %d of %d", id, w.attempt, t.Attempt)
		}
	}
}

// prune has everything forgotten, by a daemon that is killed on the way, and checks that a task is forgotten with all that it
// left, or not at all.
func (h *house) prune() {
	ask := func(arm string) {
		p := start(h.t, h.dir, arm, h.env...)
		if !p.awaitReady() {
			h.t.Fatalf("the daemon does not start any more (%v):\n%s", p.err, p.stderr.String())
		}
		c := dial(h.dir, client.Options{DialRetry: client.Never, Reconnect: client.Never})
		defer closeClient(c)
		_, err := c.Prune(h.t.Context(), task.PruneRequest{OlderThan: 1})
		if arm == "" && err != nil {
			h.t.Errorf("prune: %v", err)
		}
		if arm != "" {
			<-p.exited
		} else {
			tasks, err := listAll(h.t.Context(), c)
			if err != nil || len(tasks) > 0 {
				h.ledger.breach(breachReturned, "%d tasks after a prune, %v", len(tasks), err)
			}
			p.stop(h.dir)
		}
	}
	ask("forget.committed:0")
	ask("")
	left, _ := filepath.Glob(filepath.Join(socket.In(h.dir).Tasks, "*"))
	for _, path := range left {
		if name := filepath.Base(path); strings.Contains(name, "-") || name == "aside" {
			var there []string
			_ = filepath.WalkDir(path, func(p string, _ os.DirEntry, _ error) error { there = append(there, p); return nil })
			h.ledger.breach(breachReturned, "after a prune: %s", there)
		}
	}
}
