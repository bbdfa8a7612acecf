//go:build unix

package engine_test

import (
	"os"
	"path/filepath"
	"testing"

	"durable/ipc/task"
)

// TestHolesTakeNoSpace: a log whose middle was dropped counts with what is left.
func TestHolesTakeNoSpace(t *testing.T) {
	h := newHouse(t, litter).up()
	id := h.litter(10, false).ID
	f, err := os.Create(filepath.Join(h.dir, "tasks", string(id), "artifacts", "holes"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("end"), 1<<30); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := h.Info(t.Context())
	if err != nil || info.Disk.Tasks < 10*kib || info.Disk.Tasks > 1<<20 {
		t.Errorf("%+v, %v", info.Disk, err)
	}
	if got := h.prune(task.PruneRequest{MaxBytes: 1 << 20}); got.Tasks != 0 {
		t.Errorf("pruned %+v", got)
	}
}
