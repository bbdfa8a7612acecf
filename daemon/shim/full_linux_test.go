//go:build ci

// A small disk of the test's own: root mounts it.

package shim_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"durable/daemon/shim"
	"durable/daemon/store"
	"durable/ipc/task"
)

// TestCIFullDisk: on a full disk nothing is started, the error says why, and the same folder does when there is space.
func TestCIFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=64k,mode=0700"); err != nil {
		t.Fatalf("mount a small disk (as root): %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	b := newBed(t, "exit 4")
	b.dir = filepath.Join(disk, filepath.Base(filepath.Dir(b.dir)), "1")
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(disk, "filler")
	if err := os.WriteFile(filler, make([]byte, 1<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	for range 2 {
		_, err := b.l.Start(b.ctx(), b.dir, b.specs)
		if !errors.Is(err, shim.ErrNotExecuted) || !store.NoSpace(err) || task.AsError(err).Hint == "" {
			t.Fatalf("got %v", err)
		}
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if e := b.wait(b.start()); e.Code != 4 {
		t.Errorf("got %+v", e)
	}
}
