package daemon_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"durable/ipc/client"
	"durable/ipc/task"
)

// TestStartWindow kills the daemon at each named point between the intent to start a program and the program, and
// holds what ran (a witness file that the programs write) against what was accepted.
func TestStartWindow(t *testing.T) {
	points := windowPoints(t)
	dir, env := shortDir(t), withShim(t, 24)
	seen := filepath.Join(t.TempDir(), "witness")
	var made []task.Task
	hit := map[string]int{}
	for n := range max(*windowKills, len(points)) {
		point := points[n%len(points)]
		p := start(t, dir, point+":0", env...)
		if p.awaitReady() {
			made = append(made, submitWitnesses(t, dir, seen, 3)...)
			if point == points[0] {
				made = append(made, submitOneByOne(t, p, dir, seen)...)
			}
		}
		select {
		case <-p.exited:
		case <-time.After(patience):
			t.Errorf("the daemon did not pass %s in %s", point, patience)
			p.kill()
		}
		if p.point == point {
			hit[point]++
		}
	}
	p := start(t, dir, "", env...).up()
	c := dial(dir, client.Options{})
	defer closeClient(c)
	for _, m := range made {
		done := resumeCrashed(t, c, m)
		if done.Status != task.StatusCompleted {
			t.Errorf("task %d ended %s (%s, %s) in attempt %d: %v", done.Number, done.Status, done.Phase, done.Reason, done.Attempt, done.Error)
		}
	}
	p.stop(dir)
	twice, forgotten := judgeWindow(t, seen, made)
	if len(twice) > 0 || len(forgotten) > 0 {
		t.Errorf("ran twice in one attempt: %v; never ran: %v", twice, forgotten)
	}
	for _, point := range points {
		if hit[point] == 0 {
			t.Errorf("point %s was never killed at", point)
		}
	}
	t.Logf("%d tasks, killed at %v: none ran twice in an attempt, none is forgotten", len(made), hit)
}

// resumeCrashed waits for the end of a task, and lets it go on where the daemon has died too often under it: that is held for a
// person to look at, as soon as the daemon has found out that the last attempt had not begun.
func resumeCrashed(t testing.TB, c *client.Client, m task.Task) task.Task {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		now, err := c.Wait(t.Context(), m.ID.Ref(), 100*time.Millisecond)
		if err == nil && now.Phase == task.PhasePaused && now.Reason == task.ReasonCrashLoop {
			_, err = c.Resume(t.Context(), m.ID.Ref(), "")
		}
		if err != nil {
			t.Fatal(err)
		}
		if now.Status.Terminal() || time.Now().After(deadline) {
			return now
		}
	}
}

// windowPoints are the named points between the commit of an attempt and its running program.
func windowPoints(t testing.TB) []string {
	points := []string{"submit.begun", "start.committed", "run.before"} // the scheduler has what the first one leaves
	for _, p := range pointsIn(t, "shim") {
		if !slices.Contains(points, p) {
			points = append(points, p)
		}
	}
	if len(points) < 5 {
		t.Fatalf("only %d points: %v", len(points), points)
	}
	return points
}

// submitWitnesses starts n commands that say that they ran. The daemon may die meanwhile: what it acknowledged counts.
func submitWitnesses(t testing.TB, dir, seen string, n int) (made []task.Task) {
	t.Helper()
	c := dial(dir, client.Options{DialRetry: client.Never, Via: task.ViaCLI})
	defer closeClient(c)
	raw := mustJSON(map[string]any{
		"command": []string{"/bin/sh", "-c", `echo "$DURABLE_TASK_ID $DURABLE_ATTEMPT" >> "$1"`, "sh", seen}, "cwd": "/",
	})
	for range n {
		m, err := c.Submit(t.Context(), task.Spec{Kind: "command", Params: raw, Retry: &task.Retry{MaxAttempts: 100, Backoff: 1, Lost: true}}, "")
		if errors.Is(err, task.Unavailable) {
			return made
		}
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, m)
	}
	return made
}

// submitOneByOne submits until the daemon is gone, each time when the command before has ended: sooner or later nobody waits
// for a slot, and the submit begins at once.
func submitOneByOne(t testing.TB, p *process, dir, seen string) (made []task.Task) {
	t.Helper()
	c := dial(dir, client.Options{DialRetry: client.Never, Reconnect: client.Never})
	defer closeClient(c)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		select {
		case <-p.exited:
			return made
		default:
		}
		for _, m := range submitWitnesses(t, dir, seen, 1) {
			made = append(made, m)
			_, _ = c.Wait(t.Context(), m.ID.Ref(), patience)
		}
	}
	return made
}

// judgeWindow reads the witness file: which tasks ran twice in one attempt, and which never.
func judgeWindow(t testing.TB, path string, made []task.Task) (twice, forgotten []string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	attempts, ran := map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if attempts[line] {
			twice = append(twice, line)
		}
		attempts[line] = true
		id, _, _ := strings.Cut(line, " ")
		ran[id] = true
	}
	for _, m := range made {
		if !ran[string(m.ID)] {
			forgotten = append(forgotten, string(m.ID))
		}
	}
	return twice, forgotten
}

func TestJudgeWindow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "witness")
	if err := os.WriteFile(path, []byte("a 1\nb 1\na 2\nb 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	twice, forgotten := judgeWindow(t, path, []task.Task{{ID: "a"}, {ID: "b"}, {ID: "c"}})
	if !slices.Equal(twice, []string{"b 1"}) || !slices.Equal(forgotten, []string{"c"}) {
		t.Errorf("twice %v, forgotten %v", twice, forgotten)
	}
}
