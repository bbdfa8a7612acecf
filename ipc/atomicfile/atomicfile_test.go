package atomicfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"durable/ipc/atomicfile"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// alone wants nothing in the folder of path but it, or nothing at all.
func alone(t *testing.T, path string, there bool) {
	t.Helper()
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) > 1 || len(files) == 1 != there {
		t.Errorf("in the folder: %v", files)
	}
}

func TestCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config")
	for _, text := range []string{"first", "second"} {
		f, err := atomicfile.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); text == "first" && !errors.Is(err, fs.ErrNotExist) || text == "second" && string(b) != "first" {
			t.Errorf("before the commit of %s: %q, %v", text, b, err)
		}
		if err := f.Commit(); err != nil {
			t.Fatal(err)
		}
		f.Discard()
		if got := read(t, path); got != text {
			t.Errorf("got %q, want %q", got, text)
		}
		alone(t, path, true)
	}
}

func TestMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // it has none
	}
	path := filepath.Join(t.TempDir(), "config")
	for _, mode := range []fs.FileMode{0o600, 0o644, 0o666} { // the last one is what a umask would change
		if err := atomicfile.Write(path, []byte("x"), mode); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("got %v, %v; want %v", info.Mode(), err, mode)
		}
	}
}

func TestDiscard(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config")
	f, err := atomicfile.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	f.Discard()
	f.Discard()
	alone(t, path, false)
}

// TestFailedCommit: the place is taken by a folder; nothing is lost, and nothing is left.
func TestFailedCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config")
	if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Write(path, []byte("x"), 0o600); err == nil {
		t.Fatal("no error")
	}
	alone(t, path, true)
	if err := atomicfile.Write(filepath.Join(t.TempDir(), "none", "config"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a folder: %v", err)
	}
	if err := atomicfile.SyncDir(filepath.Join(t.TempDir(), "none")); runtime.GOOS != "windows" && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("sync of no folder: %v", err)
	}
}
