package engine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"durable/daemon/job"
	"durable/ipc/task"
)

// keeper returns a kind that keeps its position in its checkpoint folder: it says what it finds there, writes what
// the test tells it, and fails.
func keeper(found chan<- string, write func(dir string) error) script {
	return script{name: "keeper", run: func(_ context.Context, j *job.Context) (any, error) {
		work, err := j.WorkDir()
		if err != nil {
			return nil, err
		}
		dir := filepath.Join(work, "checkpoint")
		b, err := os.ReadFile(filepath.Join(dir, "sub", "at"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		found <- string(b)
		if err := write(dir); err != nil {
			return nil, err
		}
		return nil, errors.New("not yet")
	}}
}

func writeAt(dir, text string) error {
	if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "sub", "at"), []byte(text), 0o600)
}

func (h *house) retry(id task.ID, req task.RetryRequest) task.Task {
	h.t.Helper()
	t, err := h.Retry(h.t.Context(), id.Ref(), req, "")
	if err != nil {
		h.t.Fatal(err)
	}
	return t
}

func (h *house) work(id task.ID, name ...string) string {
	return filepath.Join(append([]string{h.dir, "tasks", string(id), "work"}, name...)...)
}

func TestARetryStartsFromACopyOfTheCheckpointFolder(t *testing.T) {
	found := make(chan string, 10)
	text := "first"
	h := newHouse(t, keeper(found, func(dir string) error { return writeAt(dir, text) })).up()
	first := h.wait(h.submit(task.Spec{Kind: "keeper"}).ID)
	if err := os.Symlink("sub/at", h.work(first.ID, "checkpoint", "latest")); err != nil {
		t.Fatal(err)
	}
	text = "second"
	second := h.wait(h.retry(first.ID, task.RetryRequest{}).ID)
	fresh := h.wait(h.retry(second.ID, task.RetryRequest{Fresh: true}).ID)
	for i, want := range []string{"", "first", ""} {
		if got := <-found; got != want {
			t.Errorf("task %d found %q, want %q", i+1, got, want)
		}
	}
	if b, err := os.ReadFile(h.work(first.ID, "checkpoint", "sub", "at")); err != nil || string(b) != "first" {
		t.Errorf("the old task's own is now %q, %v", b, err)
	}
	if to, err := os.Readlink(h.work(second.ID, "checkpoint", "latest")); err != nil || to != "sub/at" {
		t.Errorf("a link became %q, %v", to, err)
	}
	if _, err := os.Stat(h.work(fresh.ID, ".inherited")); err == nil {
		t.Error("a fresh one has inherited")
	}
}

// TestACopyThatWasNotFinishedIsMadeAgain: as a crash at each step leaves it.
func TestACopyThatWasNotFinishedIsMadeAgain(t *testing.T) {
	for name, leave := range map[string]func(h *house, id task.ID) error{
		"in the middle of the copy": func(h *house, id task.ID) error { return writeAt(h.work(id, ".checkpoint.part"), "fir") },
		"before the mark":           func(h *house, id task.ID) error { return writeAt(h.work(id, "checkpoint"), "first") },
	} {
		t.Run(name, func(t *testing.T) {
			found := make(chan string, 10)
			h := newHouse(t, keeper(found, func(dir string) error { return writeAt(dir, "first") })).up()
			first := h.wait(h.submit(task.Spec{Kind: "keeper"}).ID)
			if _, err := h.Drain(t.Context(), task.DrainRequest{}); err != nil {
				t.Fatal(err)
			}
			second := h.retry(first.ID, task.RetryRequest{})
			if err := leave(h, second.ID); err != nil {
				t.Fatal(err)
			}
			if _, err := h.Drain(t.Context(), task.DrainRequest{Resume: true}); err != nil {
				t.Fatal(err)
			}
			h.wait(second.ID)
			if <-found; <-found != "first" {
				t.Error("it found something else")
			}
			if _, err := os.Stat(h.work(second.ID, ".checkpoint.part")); err == nil {
				t.Error("the unfinished copy is still there")
			}
		})
	}
}

// TestACheckpointFolderIsInheritedOnce: a job that has removed its own does not get the old one again.
func TestACheckpointFolderIsInheritedOnce(t *testing.T) {
	found := make(chan string, 10)
	write := func(dir string) error { return writeAt(dir, "first") }
	h := newHouse(t, keeper(found, func(dir string) error { return write(dir) })).up()
	first := h.wait(h.submit(task.Spec{Kind: "keeper", Retry: &task.Retry{MaxAttempts: 2, Backoff: 1}}).ID)
	write = os.RemoveAll
	second := h.wait(h.retry(first.ID, task.RetryRequest{}).ID)
	h.wait(h.retry(second.ID, task.RetryRequest{}).ID)
	for i, want := range []string{"", "first", "first", "", "", ""} {
		if got := <-found; got != want {
			t.Errorf("attempt %d found %q, want %q", i+1, got, want)
		}
	}
}

// TestALineThatWasCancelledInBetween: the folder comes from the last task of the line that had one, and until it
// is copied, that one cannot be forgotten.
func TestALineThatWasCancelledInBetween(t *testing.T) {
	found := make(chan string, 10)
	h := newHouse(t, keeper(found, func(dir string) error { return writeAt(dir, "first") })).up()
	first := h.wait(h.submit(task.Spec{Kind: "keeper"}).ID)
	if _, err := h.Drain(t.Context(), task.DrainRequest{}); err != nil {
		t.Fatal(err)
	}
	second := h.retry(first.ID, task.RetryRequest{})
	if _, err := h.Cancel(t.Context(), second.ID.Ref(), task.CancelRequest{}, ""); err != nil {
		t.Fatal(err)
	}
	third := h.retry(second.ID, task.RetryRequest{})
	wantCode(t, h.Forget(t.Context(), first.ID.Ref()), task.FailedPrecondition)
	if _, err := h.Drain(t.Context(), task.DrainRequest{Resume: true}); err != nil {
		t.Fatal(err)
	}
	h.wait(third.ID)
	if <-found; <-found != "first" {
		t.Error("the third task did not find what the first one left")
	}
	if err := h.Forget(t.Context(), first.ID.Ref()); err != nil {
		t.Error(err)
	}
}

func TestARetryIsRevived(t *testing.T) {
	h, w := newWorldHouse(t)
	h.kinds = append(h.kinds, ok)
	h.up()
	id := h.submit(task.Spec{Kind: "p"}).ID
	w.end(h.watched(w), errors.New("exit status 7"))
	h.wait(id)
	again := h.retry(id, task.RetryRequest{Env: map[string]string{"TOKEN": "x"}})
	if w.env["TOKEN"] != "x" || again.RootID != id {
		t.Errorf("env %v, root %s", w.env, again.RootID)
	}
	p := h.watched(w)
	w.end(p, nil)
	h.wait(again.ID)
	if string(p.secrets) != `{"again":true}` {
		t.Errorf("the second program has the secrets %s", p.secrets)
	}
	plain := h.wait(h.submit(task.Spec{Kind: "ok"}).ID)
	_, err := h.Retry(t.Context(), plain.ID.Ref(), task.RetryRequest{Env: map[string]string{"TOKEN": "x"}}, "")
	wantCode(t, err, task.InvalidArgument)
	h.wait(h.retry(plain.ID, task.RetryRequest{}).ID)
}

// TestNoRetryWithoutItsKind: nobody could say whether its parameters are whole.
func TestNoRetryWithoutItsKind(t *testing.T) {
	h, w := newWorldHouse(t)
	h.up()
	id := h.submit(task.Spec{Kind: "p"}).ID
	w.end(h.watched(w), errors.New("exit status 7"))
	h.wait(id)
	h.down()
	h.kinds = []job.Kind{ok}
	h.up()
	_, err := h.Retry(t.Context(), id.Ref(), task.RetryRequest{}, "")
	wantCode(t, err, task.InvalidArgument)
}
