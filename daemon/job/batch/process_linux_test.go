package batch

import (
	"errors"
	"path/filepath"
	"testing"

	"durable/ipc/polltest"
)

// TestLeftBehind: what left the group of a command of an attempt that is gone is killed before the next one runs anything.
func TestLeftBehind(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	l := prepare(t, map[string]any{
		"total_items": 2, "command": []string{"sh", "-c", `setsid sh -c 'echo $$ >> "$0"; while :; do sleep 1000; done' "$1" </dev/null >/dev/null 2>&1 & until [ -s "$1" ]; do :; done`, "sh", pids},
	})
	crashAt(l, 1<<40)
	hook := 0
	l.kind.hook = func(p string) error {
		if p == "ended" {
			if hook++; hook == 2 {
				return errCrash
			}
		}
		return nil
	}
	if _, err := l.attempt(t.Context()); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	left := numbersIn(pids)
	t.Cleanup(func() {
		killLeft([]string{"DURABLE_BATCH_TASK=" + string(l.task.ID)})
		polltest.True(t, patience, "all are gone", func() bool { return gone(numbersIn(pids)) })
	})
	if len(left) == 0 || gone(left) {
		t.Fatalf("processes %v", left)
	}
	l.kind.hook = func(p string) error {
		if p == "begun" && !gone(left) {
			t.Errorf("processes %v go on beside the rerun", left)
		}
		return nil
	}
	l.finish()
	l.check(2, 1)
}
