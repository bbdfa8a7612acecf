//go:build linux && ci

package daemon_test

import (
	"bytes"
	"os"
	"strings"
	"syscall"
	"testing"

	"durable/ipc/client"
	"durable/ipc/task"
)

// TestCIBadFolder: what only root can arrange.
func TestCIBadFolder(t *testing.T) {
	t.Run("read-only", func(t *testing.T) {
		dir := tmpfs(t, 64<<20)
		durableOnce(t, dir)
		before := files(t, dir)
		must(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
		leaves(t, dir, "read-only")
		for name, b := range files(t, dir) {
			if !bytes.Equal(b, before[name]) {
				t.Errorf("%s was changed", name)
			}
		}
	})
	t.Run("another user's", func(t *testing.T) {
		dir := shortDir(t)
		durableOnce(t, dir)
		before := files(t, dir)
		must(t, os.Chown(dir, 65534, 65534))
		leaves(t, dir, "user 65534")
		for name, b := range files(t, dir) {
			if !bytes.Equal(b, before[name]) {
				t.Errorf("%s was changed", name)
			}
		}
	})
	t.Run("no room for a store", func(t *testing.T) {
		dir := tmpfs(t, 16<<10)
		leaves(t, dir, "full")
		if left := files(t, dir); left[storeName] != nil || left[markerName] != nil {
			t.Errorf("half a store was left: %d and %d bytes", len(left[storeName]), len(left[markerName]))
		}
	})
	t.Run("no room for the reserve", func(t *testing.T) {
		dir := tmpfs(t, 6<<20)
		p := durabled(t, dir)
		if !p.listens(dir) {
			t.Fatalf("the daemon does not start:\n%s", p.stderr.String())
		}
		c := dial(dir, client.Options{})
		defer closeClient(c)
		if _, err := c.Submit(t.Context(), noopFor(0), ""); task.AsError(err) == nil || task.AsError(err).Code != task.ResourceExhausted {
			t.Errorf("submit: %v, want resource_exhausted", err)
		}
		p.stop(dir)
		checkStore(t, dir)
	})
}

// durableOnce lets a daemon make its store in dir, and leave.
func durableOnce(t *testing.T, dir string) {
	t.Helper()
	p := durabled(t, dir)
	if !p.listens(dir) {
		t.Fatalf("the daemon has gone:\n%s", p.stderr.String())
	}
	p.stop(dir)
}

// leaves runs the real program, which must not start.
func leaves(t *testing.T, dir, want string) {
	t.Helper()
	p := durabled(t, dir)
	status := p.wait()
	said := p.stderr.String()
	t.Log(strings.TrimSpace(said))
	if status <= 0 || !strings.Contains(said, want) || !strings.Contains(said, "\nhint: ") {
		t.Errorf("status %d, said %q, want %q and a hint", status, said, want)
	}
}
