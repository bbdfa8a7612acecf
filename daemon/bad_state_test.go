package daemon_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"durable/ipc/client"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// settled is a state folder that a daemon has used and left: five tasks have ended.
func settled(t *testing.T) string {
	t.Helper()
	dir := shortDir(t)
	p := start(t, dir, "").up()
	c := dial(dir, client.Options{})
	defer closeClient(c)
	for range 5 {
		made, err := c.Submit(t.Context(), noopFor(0), "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Wait(t.Context(), made.ID.Ref(), patience); err != nil {
			t.Fatal(err)
		}
	}
	p.stop(dir)
	return dir
}

// refused starts a daemon that must not start: it leaves with a non-zero status, says why and what to do.
func refused(t *testing.T, dir, want string, env ...string) {
	t.Helper()
	p := start(t, dir, "", env...)
	status := p.wait()
	said := p.stderr.String()
	if status <= 0 {
		t.Errorf("status %d, want a failure:\n%s", status, said)
	}
	if !strings.Contains(said, want) || !strings.Contains(said, "\nhint: ") {
		t.Errorf("said %q, want %q and a hint", said, want)
	}
	if strings.Contains(said, "goroutine ") {
		t.Errorf("it panicked:\n%s", said)
	}
}

// files returns the content of store and marker; nil for one that is not there.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, name := range []string{storeName, markerName} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		all[name] = b
	}
	return all
}

const markerName = "store.marker"

// TestBadStore: a file that cannot be read is never overwritten, and never taken for a new one.
func TestBadStore(t *testing.T) {
	tests := []struct {
		name   string
		damage func(t *testing.T, dir string)
		want   string
	}{
		{"emptied", func(t *testing.T, dir string) { truncate(t, dir, 0) }, "is empty; nothing was changed"},
		{"cut to a page", func(t *testing.T, dir string) { truncate(t, dir, 4096) }, "nothing was changed"},
		{"cut in the middle", func(t *testing.T, dir string) { truncate(t, dir, 20_000) }, "nothing was changed"},
		{"cut in a page", func(t *testing.T, dir string) { truncate(t, dir, 12_345) }, "nothing was changed"},
		{"removed", func(t *testing.T, dir string) { must(t, os.Remove(storeFile(dir))) }, "is missing"},
		{"not a database", func(t *testing.T, dir string) {
			must(t, os.WriteFile(storeFile(dir), bytes.Repeat([]byte("text\n"), 10_000), 0o600))
		}, "nothing was changed"},
		{"another program's database", func(t *testing.T, dir string) {
			must(t, os.Remove(storeFile(dir)))
			editStore(t, dir, func(tx *bbolt.Tx) error {
				_, err := tx.CreateBucket([]byte("theirs"))
				return err
			})
		}, "no store of durable"},
		{"another durable's database", func(t *testing.T, dir string) {
			must(t, os.Rename(storeFile(settled(t)), storeFile(dir)))
		}, "marker"},
		{"a folder", func(t *testing.T, dir string) {
			must(t, os.Remove(storeFile(dir)))
			must(t, os.Mkdir(storeFile(dir), 0o700))
		}, "is not a file"},
		{"the counters are damaged", func(t *testing.T, dir string) {
			editStore(t, dir, func(tx *bbolt.Tx) error { return flip(tx.Bucket([]byte("meta")), []byte("state")) })
		}, "nothing was changed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := settled(t)
			tt.damage(t, dir)
			if tt.name == "a folder" {
				refused(t, dir, tt.want)
				return
			}
			before := files(t, dir)
			refused(t, dir, tt.want)
			for name, b := range files(t, dir) {
				if !bytes.Equal(b, before[name]) || (b == nil) != (before[name] == nil) {
					t.Errorf("%s was changed: %d bytes, then %d", name, len(before[name]), len(b))
				}
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, dir string, size int64) {
	t.Helper()
	must(t, os.Truncate(storeFile(dir), size))
}

// editStore changes a store behind the daemon's back.
func editStore(t *testing.T, dir string, fn func(*bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(storeFile(dir), 0o600, &bbolt.Options{Timeout: patience})
	must(t, err)
	must(t, db.Update(fn))
	must(t, db.Close())
}

// flip changes the last byte of a value.
func flip(b *bbolt.Bucket, key []byte) error {
	value := bytes.Clone(b.Get(key))
	if len(value) == 0 {
		return fmt.Errorf("no value under %q", key)
	}
	value[len(value)-1] ^= 0x40
	return b.Put(key, value)
}

// TestDamagedRecord: one record that cannot be read is set aside and named; it stops nothing else.
func TestDamagedRecord(t *testing.T) {
	dir := settled(t)
	editStore(t, dir, func(tx *bbolt.Tx) error {
		tree := tx.Bucket([]byte("tree"))
		c := tree.Cursor()
		key, _ := c.Seek([]byte{13}) // the tasks, and keys between them, which are longer
		for len(key) != 1+16 {
			key, _ = c.Next()
		}
		return flip(tree, key)
	})
	for range 2 { // the next daemon knows of it too
		p := start(t, dir, "").up()
		c := dial(dir, client.Options{})
		page, err := c.List(t.Context(), task.ListQuery{})
		if err != nil || len(page.Tasks) != 4 {
			t.Errorf("%d tasks are listed, want the 4 sound ones: %v", len(page.Tasks), err)
		}
		info, err := c.Info(t.Context())
		if err != nil || len(info.Warnings) != 1 {
			t.Errorf("warnings: %q %v, want one", info.Warnings, err)
		}
		made, err := c.Submit(t.Context(), noopFor(0), "")
		must(t, err)
		if done, err := c.Wait(t.Context(), made.ID.Ref(), patience); err != nil || done.Status != task.StatusCompleted {
			t.Errorf("a new task is %s: %v", done.Status, err)
		}
		must(t, c.Forget(t.Context(), made.ID.Ref()))
		closeClient(c)
		p.stop(dir)
	}
	checkStore(t, dir)
}

// TestBadFolder: a state folder that cannot be one.
func TestBadFolder(t *testing.T) {
	tests := []struct {
		name string
		make func(t *testing.T, dir string) string
		want string
	}{
		{"a file", func(t *testing.T, dir string) string {
			path := filepath.Join(dir, "f")
			must(t, os.WriteFile(path, []byte("mine"), 0o600))
			return path
		}, "state folder"},
		{"below a file", func(t *testing.T, dir string) string {
			must(t, os.WriteFile(filepath.Join(dir, "f"), []byte("mine"), 0o600))
			return filepath.Join(dir, "f", "state")
		}, "state folder"},
		{"open to everybody", func(t *testing.T, dir string) string {
			must(t, os.Chmod(dir, 0o777)) //nolint:gosec // that is the point
			return dir
		}, "everybody"},
		{"relative", func(*testing.T, string) string { return "here" }, "absolute"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := tt.make(t, shortDir(t))
			refused(t, dir, tt.want)
		})
	}
}

// TestSocketPathTooLong: the error says what to set, and the tasks are there when it is set.
func TestSocketPathTooLong(t *testing.T) {
	dir := settled(t)
	refused(t, dir, "socket", socket.EnvSocket+"="+filepath.Join(dir, strings.Repeat("long", 30), "s.sock"))
	p := start(t, dir, "").up()
	p.stop(dir)
	checkStore(t, dir)
}

// TestSecondDaemon: it says who is there, leaves, and the first one does not notice.
func TestSecondDaemon(t *testing.T) {
	dir := shortDir(t)
	first := start(t, dir, "").up()
	c := dial(dir, client.Options{DialRetry: client.Never})
	defer closeClient(c)
	made, err := c.Submit(t.Context(), noopFor(time.Hour), "")
	must(t, err)
	for range 3 {
		refused(t, dir, fmt.Sprintf("another daemon (pid %d)", first.pid()))
	}
	// Nor does one that has another state folder and was given the first one's socket.
	other := shortDir(t)
	refused(t, other, "another daemon listens", socket.EnvSocket+"="+socket.In(dir).Socket)

	got, err := c.Get(t.Context(), made.ID.Ref())
	if err != nil || got.Status.Terminal() || got.Attempt > 1 {
		t.Errorf("the first daemon's task: %s, attempt %d, %v", got.Status, got.Attempt, err)
	}
	info, err := c.Info(t.Context())
	if err != nil || info.PID != first.pid() {
		t.Errorf("pid %d answers, want %d: %v", info.PID, first.pid(), err)
	}
	first.stop(dir)
}
