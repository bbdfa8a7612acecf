package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"durable/ipc/task"
)

// madeStore returns a folder with a store of some tasks that was closed in order, or not.
func madeStore(t *testing.T, tasks int, clean bool) string {
	t.Helper()
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir}) // not to be checked at the end: the caller spoils it
	if err != nil {
		t.Fatal(err)
	}
	err = s.Update(context.Background(), Admission, func(tx *Tx) error {
		for range tasks {
			rec := noop()
			if err := tx.Create(&rec); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var running []byte
	if !clean {
		var err error
		if running, err = os.ReadFile(s.path()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if clean {
		return dir
	}
	crashed := t.TempDir()
	write(t, filepath.Join(crashed, storeFile), running)
	write(t, filepath.Join(crashed, markerFile), read(t, filepath.Join(dir, markerFile)))
	return crashed
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// setMeta writes a text of the meta bucket.
func setMeta(t *testing.T, path string, key []byte, text string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, boltOptions(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketMeta).Put(key, sealText(key, text))
	})
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestOpenRefuses: what must not be opened is refused with a remedy, and every file stays as it is.
func TestOpenRefuses(t *testing.T) {
	tests := map[string]struct {
		spoil func(t *testing.T, dir string)
		code  task.Code
		text  string
	}{
		"emptied": {func(t *testing.T, dir string) { write(t, filepath.Join(dir, storeFile), nil) }, task.FailedPrecondition, "is empty"},
		"gone":    {func(t *testing.T, dir string) { remove(t, filepath.Join(dir, storeFile)) }, task.FailedPrecondition, "is missing"},
		"text": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, storeFile), bytes.Repeat([]byte("text\n"), 5000))
		}, task.FailedPrecondition, "cannot be read"},
		"one page":  {func(t *testing.T, dir string) { truncate(t, dir, 4096) }, task.FailedPrecondition, "cannot be read"},
		"two pages": {func(t *testing.T, dir string) { truncate(t, dir, 8192) }, task.FailedPrecondition, "cut off"},
		"halved":    {func(t *testing.T, dir string) { truncate(t, dir, 0) }, task.FailedPrecondition, "cut off"},
		"folder": {func(t *testing.T, dir string) {
			remove(t, filepath.Join(dir, storeFile))
			if err := os.Mkdir(filepath.Join(dir, storeFile), 0o700); err != nil {
				t.Fatal(err)
			}
		}, task.FailedPrecondition, "is not a file"},
		"newer": {func(t *testing.T, dir string) {
			path := filepath.Join(dir, storeFile)
			setMeta(t, path, keySchema, fmt.Sprint(schemaVersion+1))
			setMeta(t, path, keyWriter, "v9.8.7")
		}, task.VersionSkew, "v9.8.7"},
		"another store": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, markerFile), []byte(markerPrefix+"other\n"))
		}, task.FailedPrecondition, "the marker names"},
		"another program's": {func(t *testing.T, dir string) {
			remove(t, filepath.Join(dir, storeFile))
			db, err := bbolt.Open(filepath.Join(dir, storeFile), 0o600, nil)
			if err = errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
		}, task.FailedPrecondition, "no store of durable"},
		"pages zeroed": {func(t *testing.T, dir string) {
			path := filepath.Join(dir, storeFile)
			b := read(t, path)
			clear(b[2*4096 : len(b)/2])
			write(t, path, b)
		}, task.FailedPrecondition, "cannot be read"},
		"one page zeroed": {func(t *testing.T, dir string) {
			path := filepath.Join(dir, storeFile)
			b := read(t, path)
			at := bytes.Index(b, []byte(task.EventSubmitted)) / 4096 * 4096
			clear(b[at : at+4096])
			write(t, path, b)
		}, task.FailedPrecondition, "cannot be read"},
		"a bucket less": {func(t *testing.T, dir string) {
			db, err := bbolt.Open(filepath.Join(dir, storeFile), 0o600, boltOptions(time.Minute))
			if err == nil {
				err = db.Update(func(tx *bbolt.Tx) error { return tx.DeleteBucket(bucketTree) })
			}
			if err = errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
		}, task.FailedPrecondition, "no bucket tree"},
		"world-writable": {func(t *testing.T, dir string) {
			if err := os.Chmod(dir, 0o777); err != nil {
				t.Fatal(err)
			}
		}, task.PermissionDenied, "written by everybody"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := madeStore(t, 300, false)
			tt.spoil(t, dir)
			before := contents(t, dir)
			s, err := Open(Options{Dir: dir})
			if err == nil {
				_ = s.Close()
				t.Fatal("opened")
			}
			te := task.AsError(err)
			if te.Code != tt.code || !strings.Contains(te.Message, tt.text) || te.Hint == "" || strings.Contains(te.Message, "\n") {
				t.Errorf("%s: %s; hint: %s", te.Code, te.Message, te.Hint)
			}
			if after := contents(t, dir); after != before {
				t.Errorf("files changed from %s to %s", before, after)
			}
		})
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// truncate cuts the store to size; to half of what is used if size is 0.
func truncate(t *testing.T, dir string, size int64) {
	t.Helper()
	path := filepath.Join(dir, storeFile)
	if size == 0 {
		db, err := bbolt.Open(path, 0o600, boltOptions(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		_ = db.View(func(tx *bbolt.Tx) error { size = tx.Size() / 2; return nil })
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

// contents names the files in dir with a checksum.
func contents(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, e := range entries {
		if e.IsDir() {
			fmt.Fprintf(&out, "%s/ ", e.Name())
			continue
		}
		fmt.Fprintf(&out, "%s %x ", e.Name(), checksum(nil, read(t, filepath.Join(dir, e.Name()))))
	}
	return out.String()
}

func TestOpenFileAsFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), nil)
	for _, path := range []string{filepath.Join(dir, "file"), filepath.Join(dir, "file", "below")} {
		_, err := Open(Options{Dir: path})
		if !errors.Is(err, task.FailedPrecondition) || task.AsError(err).Hint == "" {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestOpenHeld(t *testing.T) {
	s := openTest(t, Options{})
	_, err := Open(Options{Dir: s.o.Dir, LockTimeout: 60 * time.Millisecond})
	if !errors.Is(err, task.FailedPrecondition) || !strings.Contains(err.Error(), "another daemon holds") {
		t.Errorf("second open: %v", err)
	}
	if _, err := create(s, Admission); err != nil {
		t.Errorf("the first is harmed: %v", err)
	}
}

// TestOpenWithoutMarker: a crash may come between a new store and its marker. An interrupted creation
// leaves a file that the next one replaces.
func TestOpenWithoutMarker(t *testing.T) {
	dir := madeStore(t, 3, true)
	marker := read(t, filepath.Join(dir, markerFile))
	remove(t, filepath.Join(dir, markerFile))
	write(t, filepath.Join(dir, storeFile+tmpSuffix), []byte("half"))
	s := openTest(t, Options{Dir: dir})
	if n := countTasks(t, s); n != 3 {
		t.Errorf("%d tasks", n)
	}
	if got := read(t, filepath.Join(dir, markerFile)); !bytes.Equal(got, marker) {
		t.Errorf("marker %q, want %q", got, marker)
	}

	dir = t.TempDir()
	write(t, filepath.Join(dir, storeFile+tmpSuffix), []byte("half"))
	openTest(t, Options{Dir: dir})
}

func TestOpenModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	openTest(t, Options{Dir: dir})
	for path, want := range map[string]os.FileMode{
		dir: 0o700, filepath.Join(dir, storeFile): 0o600, filepath.Join(dir, markerFile): 0o600, filepath.Join(dir, reserveFile): 0o600,
	} {
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, fi.Mode(), err)
		}
	}
}

// TestCleanFlag: only a store that was closed in order says so.
func TestCleanFlag(t *testing.T) {
	for _, clean := range []bool{true, false} {
		dir := madeStore(t, 1, clean)
		db, err := bbolt.Open(filepath.Join(dir, storeFile), 0o600, boltOptions(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		var st state
		if err := db.View(func(tx *bbolt.Tx) error { return readState(tx, &st) }); err != nil {
			t.Error(err)
		}
		if st.Clean != clean {
			t.Errorf("clean is %v, want %v", st.Clean, clean)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}
