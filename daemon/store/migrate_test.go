package store

import (
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

// schemaOf reads the version that a file has.
func schemaOf(t *testing.T, path string) string {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var text string
	if err := db.View(func(tx *bbolt.Tx) (err error) {
		text, err = readText(tx.Bucket(bucketMeta), keySchema)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return text
}

// TestMigrate: steps run in order from where the file is; the copy has the file as it was; when a step fails, nothing has changed.
func TestMigrate(t *testing.T) {
	boom := errors.New("boom")
	mark := func(name string, err error) func(from, to string) error {
		return inOneTx(func(tx *bbolt.Tx) error {
			return errors.Join(tx.Bucket(bucketMeta).Put([]byte(name), []byte("x")), err)
		})
	}
	tests := map[string]struct {
		steps  []migration
		schema string
		marks  string
		err    error
	}{
		"none":       {nil, "1", "", nil},
		"other":      {[]migration{{0, mark("old", nil)}}, "1", "", nil},
		"two":        {[]migration{{0, mark("old", nil)}, {1, mark("a", nil)}, {2, mark("b", nil)}}, "3", "ab", nil},
		"second bad": {[]migration{{1, mark("a", nil)}, {2, mark("b", boom)}}, "1", "", boom},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			before := read(t, "testdata/schema1.db")
			write(t, filepath.Join(dir, storeFile), before)
			s := newStore(Options{Dir: dir}.withDefaults())
			err := s.migrate(1, tt.steps)
			if tt.err == nil && err != nil || tt.err != nil && (!errors.Is(err, tt.err) || task.AsError(err).Hint == "") {
				t.Errorf("migrate: %v", err)
			}
			if got := schemaOf(t, s.path()); got != tt.schema {
				t.Errorf("schema %s, want %s", got, tt.schema)
			}
			var marks string
			db, err := bbolt.Open(s.path(), 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			_ = db.View(func(tx *bbolt.Tx) error {
				for _, m := range []string{"old", "a", "b"} {
					if tx.Bucket(bucketMeta).Get([]byte(m)) != nil {
						marks += m
					}
				}
				return nil
			})
			_ = db.Close()
			if marks != tt.marks {
				t.Errorf("steps %q, want %q", marks, tt.marks)
			}
			bak := migrationCopy(s.path(), 1)
			if tt.schema == "1" {
				if _, err := os.Stat(bak); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("a copy although nothing was to do: %v", err)
				}
				if string(read(t, s.path())) != string(before) {
					t.Errorf("the file has changed")
				}
			} else if string(read(t, bak)) != string(before) {
				t.Errorf("the copy is not the file as it was")
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*"+tmpSuffix)); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// TestMigrationsInOrder: the list leads from 1 to schemaVersion without a gap.
func TestMigrationsInOrder(t *testing.T) {
	for i, m := range migrations {
		if m.from != i+1 {
			t.Errorf("migration %d is from schema %d", i, m.from)
		}
	}
	if len(migrations) != schemaVersion-1 {
		t.Errorf("%d migrations for schema %d", len(migrations), schemaVersion)
	}
}

// TestRestoreRefuses: what is no backup, and folders where something is.
func TestRestoreRefuses(t *testing.T) {
	dir := madeStore(t, 3, true)
	backup := filepath.Join(t.TempDir(), "backup.db")
	write(t, backup, read(t, filepath.Join(dir, storeFile)))
	short := filepath.Join(t.TempDir(), "short.db")
	write(t, short, read(t, backup)[:12<<10])
	text := filepath.Join(t.TempDir(), "text")
	write(t, text, []byte(strings.Repeat("no store\n", 4000)))
	marked := t.TempDir()
	write(t, filepath.Join(marked, markerFile), []byte("durable store x\n"))
	for name, tt := range map[string]struct{ backup, dir string }{
		"store there": {backup, dir}, "marker there": {backup, marked}, "no file": {"/none", t.TempDir()},
		"short": {short, t.TempDir()}, "text": {text, t.TempDir()}, "folder": {t.TempDir(), t.TempDir()},
	} {
		before := contents(t, tt.dir)
		err := Restore(tt.backup, tt.dir)
		if te := task.AsError(err); te == nil || te.Code != task.FailedPrecondition || te.Hint == "" {
			t.Errorf("%s: %v", name, err)
		}
		if after := contents(t, tt.dir); after != before {
			t.Errorf("%s: files changed from %q to %q", name, before, after)
		}
	}
	into := t.TempDir()
	if err := Restore(backup, into); err != nil { // a plain copy of a store that was not in use
		t.Fatal(err)
	}
	if n := countTasks(t, openTest(t, Options{Dir: into})); n != 3 {
		t.Errorf("%d tasks", n)
	}
}

// TestRestoreOldBackup: a backup of every released schema is restored, and nothing is left beside it or in the new folder.
func TestRestoreOldBackup(t *testing.T) {
	for schema := 1; schema <= schemaVersion; schema++ {
		from, into := t.TempDir(), t.TempDir()
		backup := filepath.Join(from, "backup.db")
		write(t, backup, read(t, fmt.Sprintf("testdata/schema%d.db", schema)))
		if err := Restore(backup, into); err != nil {
			t.Errorf("schema %d: %v", schema, err)
			continue
		}
		s := openTest(t, Options{Dir: into})
		err := s.View(func(tx *Tx) error {
			if _, ok, err := tx.Key("1000/submit/1"); !ok || err != nil {
				t.Errorf("schema %d: no key, %v", schema, err)
			}
			if list, err := tx.List(task.ListQuery{Kind: "noop"}); err != nil || len(list.Tasks) != 4 {
				t.Errorf("schema %d: %d tasks, %v", schema, len(list.Tasks), err)
			}
			return consistent(t, tx)
		})
		if err = errors.Join(err, s.Close()); err != nil {
			t.Errorf("schema %d: %v", schema, err)
		}
		for _, dir := range []string{from, into} {
			if left, _ := filepath.Glob(filepath.Join(dir, "*"+tmpSuffix)); len(left) > 0 {
				t.Errorf("schema %d: left behind: %v", schema, left)
			}
		}
	}
}
