//go:build linux && ci

package daemon_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"durable/daemon/job/noop"
	"durable/ipc/client"
	"durable/ipc/polltest"
	"durable/ipc/task"
)

// TestCIFullDisk fills the disk of a daemon that works: new tasks are refused with a clear error, what runs goes on
// and ends, cancels are taken, a restart changes nothing of that, and when there is space again so are new tasks.
func TestCIFullDisk(t *testing.T) {
	dir := tmpfs(t, 64<<20)
	p := durabled(t, dir)
	if !p.listens(dir) {
		t.Fatalf("the daemon has gone:\n%s", p.stderr.String())
	}
	c := dial(dir, client.Options{})
	defer closeClient(c)
	ctx := t.Context()
	book := newLedger()
	submit := func(spec task.Spec) (*entry, error) {
		e := book.plan(&entry{spec: spec})
		made, err := c.Submit(ctx, e.spec, e.key)
		if err == nil {
			book.submitted(e, made.ID)
		}
		return e, err
	}
	must := func(p noop.Params) *entry {
		t.Helper()
		e, err := submit(noopSpec(p))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	working := must(noop.Params{Duration: task.Duration(8 * time.Second), Steps: 80, Checkpoint: true})
	hopeless := must(noop.Params{Duration: task.Duration(time.Hour)})
	lasting := must(noop.Params{Duration: task.Duration(12 * time.Second), Steps: 120, Checkpoint: true})
	for _, e := range []*entry{working, hopeless, lasting} {
		awaitRunning(t, c, e.id)
	}
	if _, err := c.Drain(ctx, task.DrainRequest{}); err != nil {
		t.Fatal(err)
	}

	filler := filepath.Join(dir, "filler")
	fill(t, filler, dir, 2<<20)
	refused := fillUp(t, func(i int) error {
		_, err := submit(bulky(i))
		return err
	})
	e := task.AsError(refused)
	if e.Code != task.ResourceExhausted || e.Hint == "" || !strings.Contains(e.Message, "full") {
		t.Errorf("refused with %#v, want resource_exhausted, a clear message and a hint", e)
	}
	info, err := c.Info(ctx)
	if err != nil || len(info.Warnings) == 0 {
		t.Errorf("info of a full daemon: %v %v", info.Warnings, err)
	}
	t.Logf("after %d tasks: %v (%s)", len(book.byID), e, e.Hint)

	if _, err := c.Cancel(ctx, hopeless.id.Ref(), task.CancelRequest{}, ""); err != nil {
		t.Errorf("cancel on a full disk: %v", err)
	}
	wait(t, c, book, hopeless, task.StatusCancelled)
	wait(t, c, book, working, task.StatusCompleted)
	if _, err := submit(bulky(0)); !errors.Is(err, task.ResourceExhausted) {
		t.Errorf("submit on a disk that is still full: %v", err)
	}
	select {
	case <-p.exited:
		t.Fatalf("the daemon has gone: %v\n%s", p.err, p.stderr.String())
	default:
	}

	p.kill() // and once more, on the full disk
	p = durabled(t, dir)
	if !p.listens(dir) {
		t.Fatalf("the daemon does not start on a full disk:\n%s", p.stderr.String())
	}
	wait(t, c, book, lasting, task.StatusCompleted)

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	last := noopSpec(noop.Params{})
	polltest.Until(t, patience, func() error { // admission looks for space when it is asked, at most once a second
		_, err := submit(last)
		if err != nil && !errors.Is(err, task.ResourceExhausted) {
			t.Fatalf("submit with space again: %v", err)
		}
		return err
	})
	for _, e := range book.all() {
		if e.id != "" && e.end == nil {
			wait(t, c, book, e, task.StatusCompleted)
		}
	}
	if info, err := c.Info(ctx); err != nil || len(info.Warnings) != 0 {
		t.Errorf("warnings are left: %v %v", info.Warnings, err)
	}
	if _, err := book.audit(ctx, c); err != nil {
		t.Error(err)
	}
	p.stop(dir)
	checkStore(t, dir)
	book.report(t)
}

// bulky is a no-op whose record takes about 10 KB.
func bulky(n int) task.Spec {
	spec := noopFor(0)
	spec.Labels = map[string]string{}
	for i := range task.MaxLabels - 1 {
		spec.Labels[fmt.Sprintf("%d-%d", n, i)] = strings.Repeat("x", task.MaxLabel)
	}
	return spec
}

// fillUp calls submit until it fails, and returns that error.
func fillUp(t *testing.T, submit func(i int) error) error {
	t.Helper()
	for i := range 100_000 {
		if err := submit(i); err != nil {
			return err
		}
	}
	t.Fatal("the disk does not get full")
	return nil
}

// fill writes a file that leaves so many bytes of the disk.
func fill(t *testing.T, path, dir string, leave int64) {
	t.Helper()
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	free := int64(fs.Bavail)*fs.Bsize - leave
	if err := os.WriteFile(path, make([]byte, free), 0o600); err != nil {
		t.Fatal(err)
	}
}

// tmpfs mounts a small file system of its own. It takes root.
func tmpfs(t *testing.T, bytes int) string {
	t.Helper()
	dir := shortDir(t)
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", bytes)); err != nil {
		t.Fatalf("mount a tmpfs (as root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

func awaitRunning(t *testing.T, c *client.Client, id task.ID) {
	t.Helper()
	s, err := c.Events(t.Context(), task.EventQuery{After: task.CursorStart, Task: id.Ref(), Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for {
		ev, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		if ev.Type == task.EventStarted {
			return
		}
	}
}

func wait(t *testing.T, c *client.Client, book *ledger, e *entry, want task.Status) {
	t.Helper()
	done, err := c.Wait(t.Context(), e.id.Ref(), patience)
	if err != nil || done.Status != want {
		t.Errorf("task %s is %s (%s), want %s: %v", e.id, done.Status, done.Phase, want, err)
	}
	book.see(e, done)
}
