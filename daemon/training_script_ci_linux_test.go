//go:build linux && ci

package daemon_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"durable/ipc/client"
	"durable/ipc/task"
)

// scriptEpochs is long enough that the script is still at work when it is found to be.
const scriptEpochs = 60

// TestCITrainingScript gives a user's own script to ml_training. The daemon is killed under it, and later the script
// itself: it goes on after its last checkpoint, and every epoch has the figures of an unbroken run.
func TestCITrainingScript(t *testing.T) {
	corpus, python, script := os.Getenv("TRAINING_CORPUS"), os.Getenv("TRAINING_PYTHON"), os.Getenv("TRAINING_SCRIPT")
	if corpus == "" || python == "" || script == "" {
		if os.Getenv("DURABLE_TEST_ALL") != "" {
			t.Fatal("no corpus, Python or script: .ci/training/run names them")
		}
		t.Skip("left out: a training by a user's own script; .ci/training/run does it")
	}
	dir, out := shortDir(t), t.TempDir()
	pidFile := filepath.Join(out, "pid")
	words := []string{python, script, corpus, strconv.Itoa(scriptEpochs)}
	p := durabled(t, dir)
	c := dial(dir, client.Options{DialRetry: client.Forever})
	defer closeClient(c)
	id := submitApproved(t, c, task.Spec{Kind: "ml_training", Retry: &task.Retry{MaxAttempts: 2, Backoff: 1}, Params: mustJSON(map[string]any{
		"cwd": out, "epochs": scriptEpochs, "environ": os.Environ(),
		"command": append([]string{"/bin/sh", "-c", `echo $$ > "$1"; shift; exec "$@"`, "sh", pidFile}, words...),
	})})
	running := func(attempt int, epoch int64) task.Task {
		var now task.Task
		poll(t, 3*patience, func() bool {
			got, err := c.Get(t.Context(), id.Ref())
			now = got
			return err == nil && (got.Status.Terminal() || got.Phase == task.PhaseRunning && got.Attempt == attempt && got.Progress.Done >= epoch)
		})
		if now.Status.Terminal() {
			t.Fatalf("%s before it was killed: %v", now.Status, now.Error)
		}
		return now
	}
	running(1, 2)
	p.kill()
	p = durabled(t, dir)
	now := running(1, 3) // adopted, and read on
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err == nil {
		err = syscall.Kill(pid, syscall.SIGKILL)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the daemon was killed after epoch 2, the script after epoch %d", now.Progress.Done)
	var end task.Task
	poll(t, 5*patience, func() bool {
		end, err = c.Get(t.Context(), id.Ref())
		return err == nil && end.Status.Terminal()
	})
	if end.Status != task.StatusCompleted || end.Attempt != 2 {
		t.Fatalf("%s in attempt %d: %v", end.Status, end.Attempt, end.Error)
	}
	checkScript(t, end, filepath.Join(dir, "tasks", string(id)), unbroken(t, words))
}

// unbroken runs the script by itself and returns what it prints.
func unbroken(t *testing.T, words []string) []string {
	cmd := exec.CommandContext(t.Context(), words[0], words[1:]...)
	cmd.Env = append(os.Environ(), "DURABLE_CHECKPOINT_DIR="+t.TempDir())
	text, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// checkScript holds what the two attempts printed, and the metrics that were made of it, against an unbroken run.
func checkScript(t *testing.T, end task.Task, folder string, want []string) {
	t.Helper()
	var printed []string
	for _, attempt := range []string{"1", "2"} {
		text, err := os.ReadFile(filepath.Join(folder, attempt, "stdout"))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		if first, resumed := strings.CutPrefix(lines[0], "going on after epoch "); attempt == "2" {
			at, err := strconv.Atoi(first)
			if !resumed || err != nil || at < 3 || at > len(printed)+1 { // the checkpoint comes before the line
				t.Fatalf("attempt 2 begins with %q, after %d lines of attempt 1", lines[0], len(printed))
			}
			if at > len(printed) { // killed between the two
				printed = append(printed, want[at-1])
			}
			lines = lines[1:]
		}
		printed = append(printed, lines...)
	}
	if !slices.Equal(printed, want) {
		t.Errorf("printed %q, want %q", printed, want)
	}
	var res struct {
		Success  bool    `json:"success"`
		Accuracy float64 `json:"final_accuracy"`
		Metrics  []struct{ Epoch int }
	}
	if err := json.Unmarshal(end.Result, &res); err != nil {
		t.Fatal(err)
	}
	_, accuracy, _ := strings.Cut(want[len(want)-1], "val_accuracy: ")
	if strconv.FormatFloat(res.Accuracy, 'f', 4, 64) != accuracy || !res.Success {
		t.Errorf("result %s, want an accuracy of %s", end.Result, accuracy)
	}
	series, err := os.ReadFile(filepath.Join(folder, "artifacts", "metrics.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(series), "\n"); lines < scriptEpochs || lines > scriptEpochs+1 {
		t.Errorf("%d lines of metrics, want a header and %d:\n%s", lines, scriptEpochs, series)
	}
	if saved, err := filepath.Glob(filepath.Join(folder, "*", "model.pickle")); err != nil || len(saved) != 1 {
		t.Errorf("the script's checkpoint: %v, %v", saved, err)
	}
}
