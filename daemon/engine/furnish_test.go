package engine_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"durable/daemon/engine"
	"durable/ipc/polltest"
	"durable/ipc/task"
)

// furnisher has an empty file in the folder of an attempt before that is run.
type furnisher struct{ survivor }

func (furnisher) Furnish(dir string) {
	if os.Mkdir(dir, 0o700) == nil {
		_ = os.WriteFile(filepath.Join(dir, "lock"), nil, 0o600)
	}
}

// TestFurnish: an attempt finds its folder furnished, and the one for what a program saves, unless it is to be a copy.
func TestFurnish(t *testing.T) {
	w := newWorld()
	h := newHouse(t, furnisher{survivor{"p", w}})
	h.up()
	polltest.True(t, time.Minute, "the sweep ends", h.Swept)
	made := h.submit(task.Spec{Kind: "p"})
	end := func(err error) {
		p := <-w.looked
		p.err = err
		close(p.ended)
	}
	end(errors.New("not yet"))
	h.wait(made.ID)
	dir := filepath.Join(h.dir, "tasks", string(made.ID))
	saved := h.work(made.ID, "checkpoint")
	for _, path := range []string{filepath.Join(dir, "1", "lock"), filepath.Join(dir, "artifacts"), saved} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	if err := os.WriteFile(filepath.Join(saved, "position"), []byte("12"), 0o600); err != nil {
		t.Fatal(err)
	}
	again := h.retry(made.ID, task.RetryRequest{})
	end(nil)
	h.wait(again.ID)
	if b, err := os.ReadFile(h.work(again.ID, "checkpoint", "position")); string(b) != "12" {
		t.Errorf("the retry starts from %q, %v", b, err)
	}
}

// TestWhatAFailedCommitHasFurnished leaves nothing.
func TestWhatAFailedCommitHasFurnished(t *testing.T) {
	h, b := newBrokenHouse(t, furnisher{survivor{"p", newWorld()}})
	h.opened()
	for range 2 * engine.DefaultSlots {
		b.arm(func() { b.late = 1 })
		_, err := h.Submit(t.Context(), task.Spec{Kind: "p"}, "")
		wantCode(t, err, task.ResourceExhausted)
	}
	if left, _ := filepath.Glob(filepath.Join(h.dir, "tasks", "*-*")); len(left) > 0 {
		t.Errorf("folders of tasks that were never made: %v", left)
	}
}

// TestUnbornFolders: of the folders that no task is known of, those go in which nothing was written.
func TestUnbornFolders(t *testing.T) {
	h := newHouse(t, ok)
	tasks := filepath.Join(h.dir, "tasks")
	for i, c := range []struct {
		file, text string
		stays      bool
	}{
		{"1/lock", "", false},
		{"1/stdout", "a line\n", true},
		{"12/lock", "", false},
		{"artifacts/result", "", true},
		{"1/deeper/lock", "", true},
		{"note", "", true},
	} {
		id := "0190b5d8-0000-7000-8000-00000000000" + string(rune('0'+i))
		path := filepath.Join(tasks, id, c.file)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		h.up()
		h.down() // the sweep is over
		if _, err := os.Stat(filepath.Join(tasks, id)); err == nil {
			t.Errorf("%s: the folder is where it was", c.file)
		}
		if _, err := os.Stat(filepath.Join(tasks, "aside", id, c.file)); (err == nil) != c.stays {
			t.Errorf("%s: set aside: %v, want that: %v", c.file, err, c.stays)
		}
	}
}
