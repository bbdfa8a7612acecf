package daemon_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"durable/ipc/client"
	"durable/ipc/polltest"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// attemptDir is where an attempt of a command keeps its protocol.
func attemptDir(dir string, t task.Task) string {
	return filepath.Join(socket.In(dir).Tasks, string(t.ID), strconv.Itoa(t.Attempt))
}

// holder returns the process of the shim that holds t, as it says itself.
func holder(t testing.TB, dir string, of task.Task) int {
	t.Helper()
	var started struct {
		PID int `json:"pid"`
	}
	b, err := os.ReadFile(filepath.Join(attemptDir(dir, of), "started"))
	if err == nil {
		err = json.Unmarshal(b, &started)
	}
	if err != nil || started.PID <= 1 {
		t.Fatalf("shim of task %d: process %d, %v: %s", of.Number, started.PID, err, b)
	}
	return started.PID
}

// cancel has the daemon acknowledge a cancel.
func cancel(t testing.TB, c *client.Client, id task.ID) {
	t.Helper()
	if _, err := c.Cancel(t.Context(), id.Ref(), task.CancelRequest{}, ""); err != nil {
		t.Fatal(err)
	}
}

// nothingLeft waits for the end of a task whose cancel was acknowledged: of its processes, which have word in their command lines,
// none is left then.
func nothingLeft(t testing.TB, c *client.Client, id task.ID, word string) {
	t.Helper()
	done, err := c.Wait(t.Context(), id.Ref(), 2*patience)
	if err != nil || done.Status != task.StatusCancelled {
		t.Errorf("%s (%s), %v; want cancelled", done.Status, done.Phase, err)
	}
	if left := processesWith(word); len(left) > 0 {
		t.Errorf("cancelled, and processes %v are there", left)
	}
}

var words atomic.Int64

// unique is a word that no other test has, nor another run of the tests on this machine: processes are killed by it.
func unique() string { return fmt.Sprintf("%d-%d-end", os.Getpid(), words.Add(1)) }

// gone waits until no process has word in its command line.
func gone(t testing.TB, word string, within time.Duration) {
	t.Helper()
	polltest.Until(t, within, func() error {
		if left := processesWith(word); len(left) > 0 {
			return fmt.Errorf("processes %v are still there", left)
		}
		return nil
	})
}

// runningCommand starts a daemon and a command that has word in its command line, and returns when it runs.
func runningCommand(t *testing.T, dir string, env []string, script, word string) (*process, *client.Client, task.Task) {
	t.Helper()
	p := start(t, dir, "", env...).up()
	c := dial(dir, client.Options{Via: task.ViaCLI})
	t.Cleanup(func() {
		closeClient(c)
		for _, pid := range processesWith(word) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	made := submitCommand(t, c, map[string]any{"command": []string{"/bin/sh", "-c", script, word}, "cwd": "/", "grace": "1s"})
	return p, c, awaitTask(t, c, made.ID, func(t task.Task) bool { return t.Phase == task.PhaseRunning })
}

// TestShimKilled: nobody can know how a program ended whose holder died before it.
func TestShimKilled(t *testing.T) {
	dir, word := shortDir(t), "orphan-"+unique()
	end := filepath.Join(t.TempDir(), "end")
	_, c, running := runningCommand(t, dir, withShim(t, 8), `while [ ! -e `+end+` ]; do sleep 0.05; done; exit 0`, word)
	if err := syscall.Kill(holder(t, dir, running), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	awaitTask(t, c, running.ID, func(t task.Task) bool { return t.Phase == task.PhaseOrphaned })
	if len(processesWith(word)) == 0 {
		t.Error("the program died with its holder")
	}
	if err := os.WriteFile(end, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	done, err := c.Wait(t.Context(), running.ID.Ref(), patience)
	if err != nil || done.Status != task.StatusFailed || done.Outcome != task.OutcomeLost {
		t.Errorf("%s (%s), %v; want failed (lost)", done.Status, done.Outcome, err)
	}
}

// TestTreeKilled: a program that somebody kills ended by that signal.
func TestTreeKilled(t *testing.T) {
	dir, word := shortDir(t), "killed-"+unique()
	_, c, running := runningCommand(t, dir, withShim(t, 8), `sleep 1000 & echo up; wait; echo never`, word)
	awaitOutput(t, c, running, "up\n")
	// The shell alone: it would go on if the child were killed before it, which has the word too until it is a sleep.
	var shell []int
	polltest.Until(t, patience, func() error {
		if shell = processesWith(word); len(shell) != 1 {
			return fmt.Errorf("processes %v are there, want the shell alone", shell)
		}
		return nil
	})
	if err := syscall.Kill(shell[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	done, err := c.Wait(t.Context(), running.ID.Ref(), patience)
	if err != nil || done.Outcome != task.OutcomeSignaled || done.Error == nil || done.Error.Details["signal"] != "SIGKILL" {
		t.Errorf("%s (%s), %+v, %v; want signaled, SIGKILL", done.Status, done.Outcome, done.Error, err)
	}
}

// TestRebooted: after another boot a command is started again, and finds what it kept in its checkpoint folder.
func TestRebooted(t *testing.T) {
	dir, word := shortDir(t), "rebooted-"+unique()
	env := withShim(t, 8)
	p, c, running := runningCommand(t, dir, env, `cd "$DURABLE_CHECKPOINT_DIR" || exit 9
if [ -e kept ]; then echo "attempt $DURABLE_ATTEMPT found $(cat kept)"; exit 0; fi
echo page-42 > kept; echo ready; while :; do sleep 0.1; done`, word)
	awaitOutput(t, c, running, "ready\n")
	p.kill()
	shim := holder(t, dir, running)
	// The power goes, for all at once: the holder must not see how the program ends.
	_ = syscall.Kill(shim, syscall.SIGKILL)
	awaitGone(t, shim)
	for _, pid := range processesWith(word) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	gone(t, word, patience)
	otherBoot(t, filepath.Join(attemptDir(dir, running), "started"))
	start(t, dir, "", env...).up()
	done, err := c.Wait(t.Context(), running.ID.Ref(), patience)
	if err != nil || done.Status != task.StatusCompleted || done.Attempt != 2 {
		t.Fatalf("%s in attempt %d, %v, %v; want completed in attempt 2", done.Status, done.Attempt, done.Error, err)
	}
	if first := done.Attempts[0].Outcome; first != task.OutcomeInterrupted {
		t.Errorf("the first attempt ended %s, want interrupted", first)
	}
	if got := string(readLog(t, c, done, task.StreamStdout)); got != "attempt 2 found page-42\n" {
		t.Errorf("log of attempt 2: %q", got)
	}
}

// awaitOutput waits until stdout is text.
func awaitOutput(t testing.TB, c *client.Client, of task.Task, text string) {
	t.Helper()
	polltest.Until(t, patience, func() error {
		if got := string(readLog(t, c, of, task.StreamStdout)); got != text {
			return fmt.Errorf("stdout is %q, want %q", got, text)
		}
		return nil
	})
}

// otherBoot makes an attempt one of another boot of this machine.
func otherBoot(t testing.TB, path string) {
	t.Helper()
	var started map[string]any
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &started)
	}
	if err != nil || started["boot"] == nil {
		t.Fatalf("%s: %v: %s", path, err, b)
	}
	started["boot"] = "another-boot"
	if err := os.WriteFile(path, mustJSON(started), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestCancelTakesTheWholeTree: grandchildren that forked twice, lead sessions of their own and are deaf to SIGTERM
// are gone after the grace and a second; a process beside them is not touched.
func TestCancelTakesTheWholeTree(t *testing.T) {
	dir, word := shortDir(t), "tree-"+unique()
	env := withShim(t, 8)
	deaf := `trap "" TERM; (setsid sh -c 'trap "" TERM; (setsid sh -c "trap \"\" TERM; while :; do sleep 1; done" ` + word + ` &) ; while :; do sleep 1; done' ` + word + ` &)
echo up; while :; do sleep 1; done`
	_, c, running := runningCommand(t, dir, env, deaf, word)
	awaitOutput(t, c, running, "up\n")
	polltest.True(t, patience, "the tree has three processes", func() bool { return len(processesWith(word)) >= 3 })
	bystander := command(t, "sleep", "1000")
	bystander.begin()
	began := time.Now()
	cancel(t, c, running.ID)
	nothingLeft(t, c, running.ID, word)
	t.Logf("a tree that is deaf to SIGTERM was gone %s after the cancel; the grace is 1s", time.Since(began).Round(time.Millisecond))
	select {
	case <-bystander.exited:
		t.Error("the process beside was ended too")
	default:
	}
}

// TestCancelWhileNobodyIsThere: a cancel that was acknowledged holds, although the daemon dies before it acts.
func TestCancelWhileNobodyIsThere(t *testing.T) {
	dir, word := shortDir(t), "cancel-"+unique()
	env := withShim(t, 8)
	p, c, running := runningCommand(t, dir, env, `sleep 1000; echo never`, word)
	p.kill()
	p = start(t, dir, "cancel.committed:0", env...).up()
	_, err := c.Cancel(t.Context(), running.ID.Ref(), task.CancelRequest{}, "")
	<-p.exited
	if p.point == "" {
		t.Fatalf("the daemon did not die at the commit of the cancel: %v, %v", p.err, err)
	}
	start(t, dir, "", env...).up()
	nothingLeft(t, c, running.ID, word)
}
