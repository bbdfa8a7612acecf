//go:build linux && ci

package daemon_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"durable/ipc/client"
	"durable/ipc/polltest"
	"durable/ipc/task"
)

// TestCIFullDiskCommands: commands fill the disk with their output and go on. How they end is known while the disk is
// full, also to the daemon after the one that was there.
func TestCIFullDiskCommands(t *testing.T) {
	dir := tmpfs(t, 48<<20)
	env := withShim(t, 8)
	p := start(t, dir, "", env...).up()
	c := dial(dir, client.Options{Via: task.ViaCLI})
	defer closeClient(c)
	out := t.TempDir() // on another disk
	full, end := filepath.Join(out, "full"), filepath.Join(out, "end")
	// It writes until that fails, and whenever there is space again.
	flood := `while [ ! -e "` + full + `" ]; do head -c 1048576 /dev/zero || : > "` + full + `"; done 2>/dev/null
while [ ! -e "` + end + `" ]; do head -c 4096 /dev/zero; sleep 0.05; done 2>/dev/null; `
	var made []task.Task
	for _, how := range []string{"exit 0", "exit 7"} {
		made = append(made, submitCommand(t, c, map[string]any{
			"command": []string{"/bin/sh", "-c", flood + how}, "cwd": "/", "log_limit": 1 << 40,
		}))
	}
	deaf := submitCommand(t, c, map[string]any{"command": []string{"/bin/sh", "-c", flood + "sleep 1000"}, "cwd": "/", "log_limit": 1 << 40})
	polltest.True(t, patience, "the disk is full", func() bool { _, err := os.Stat(full); return err == nil })
	began := time.Now()
	if _, err := c.Cancel(t.Context(), deaf.ID.Ref(), task.CancelRequest{}, ""); err != nil {
		t.Errorf("cancel: %v", err)
	}
	if done, err := c.Wait(t.Context(), deaf.ID.Ref(), patience); err != nil || done.Status != task.StatusCancelled {
		t.Errorf("%s, %v; want cancelled", done.Status, err)
	}
	t.Logf("cancelled after %s", time.Since(began))
	p.kill()
	start(t, dir, "", env...).up()
	touch(t, end)
	began = time.Now()
	for i, want := range []task.Outcome{task.OutcomeSucceeded, task.OutcomeFailed} {
		done, err := c.Wait(t.Context(), made[i].ID.Ref(), patience)
		if err != nil || done.Outcome != want {
			t.Errorf("%s (%s), %v; want %s", done.Status, done.Outcome, err, want)
		}
	}
	t.Logf("ends known after %s", time.Since(began))
}
