//go:build unix

package store

import (
	"os"
	"path/filepath"
	"testing"
)

// TestMigrateThroughLink: a store that lies elsewhere stays there.
func TestMigrateThroughLink(t *testing.T) {
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "the.db")
	before := read(t, "testdata/schema2.db")
	write(t, elsewhere, before)
	path := filepath.Join(dir, storeFile)
	if err := os.Symlink(elsewhere, path); err != nil {
		t.Fatal(err)
	}
	if n := countTasks(t, openTest(t, Options{Dir: dir})); n == 0 {
		t.Error("no tasks")
	}
	if to, err := os.Readlink(path); err != nil || to != elsewhere {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	if string(read(t, migrationCopy(elsewhere, 2))) != string(before) {
		t.Error("the copy is not the file as it was")
	}
}
