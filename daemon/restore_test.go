package daemon_test

import (
	"errors"
	"path/filepath"
	"testing"

	"durable/daemon/job/noop"
	"durable/daemon/store"
	"durable/ipc/client"
	"durable/ipc/task"
)

// TestRestore: a backup that was taken of a running daemon becomes a store of its own. What had not ended comes back
// paused, since nobody knows what it did after the backup; ended tasks are what they were; cursors of the old
// journal are refused.
func TestRestore(t *testing.T) {
	old := shortDir(t)
	p := start(t, old, "").up()
	c := dial(old, client.Options{})
	defer closeClient(c)
	ended, err := c.Submit(t.Context(), noopFor(0), "ended")
	must(t, err)
	ended, err = c.Wait(t.Context(), ended.ID.Ref(), patience)
	must(t, err)
	gate := filepath.Join(t.TempDir(), "gate")
	running, err := c.Submit(t.Context(), noopSpec(noop.Params{Steps: 20, Checkpoint: true, Gate: gate}), "running")
	must(t, err)
	stream, err := c.Events(t.Context(), task.EventQuery{After: task.CursorStart, Task: running.ID.Ref(), Follow: true})
	must(t, err)
	(&follower{t: t, stream: stream, id: running.ID, cursors: map[task.Cursor]bool{}}).until(task.EventCheckpoint)
	must(t, stream.Close())
	list, err := c.List(t.Context(), task.ListQuery{})
	must(t, err)
	backup := filepath.Join(t.TempDir(), "backup")
	_, err = c.Backup(t.Context(), task.BackupRequest{Path: backup})
	must(t, err)
	p.kill()

	dir := shortDir(t)
	must(t, store.Restore(backup, dir))
	if err := store.Restore(backup, dir); err == nil {
		t.Error("a store was overwritten by a backup")
	}
	p = start(t, dir, "").up()
	c = dial(dir, client.Options{})
	defer closeClient(c)
	got, err := c.Get(t.Context(), ended.ID.Ref())
	if err != nil || got.Status != task.StatusCompleted || !got.CompletedAt.Equal(*ended.CompletedAt) {
		t.Errorf("the task that had ended: %+v %v", got, err)
	}
	if again, err := c.Submit(t.Context(), noopFor(0), "ended"); err != nil || again.ID != ended.ID {
		t.Errorf("its key: %s %v", again.ID, err)
	}
	held, err := c.Get(t.Context(), running.ID.Ref())
	if err != nil || held.Status != task.StatusPending || held.Phase != task.PhasePaused || held.Reason != task.ReasonRestored {
		t.Errorf("the task that had not: %s (%s), %s, %v", held.Status, held.Phase, held.Reason, err)
	}
	stream, err = c.Events(t.Context(), task.EventQuery{After: list.Cursor})
	if err == nil {
		_, err = stream.Next()
	}
	if !errors.Is(err, task.OutOfRange) {
		t.Errorf("a cursor of the old journal: %v, want out_of_range", err)
	}
	touch(t, gate)
	_, err = c.Resume(t.Context(), running.ID.Ref(), "")
	must(t, err)
	if done, err := c.Wait(t.Context(), running.ID.Ref(), patience); err != nil || done.Status != task.StatusCompleted || done.Attempt < 2 {
		t.Errorf("resumed: %s, attempt %d, %v", done.Status, done.Attempt, err)
	}
	p.stop(dir)
	checkStore(t, dir)
}
