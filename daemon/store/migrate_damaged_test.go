package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"durable/ipc/task"
)

// TestMigrateDamaged: a file that was closed in order is read whole before a migration writes to it. One with a bad page stays as it is.
func TestMigrateDamaged(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, storeFile)
	bytes := read(t, "testdata/schema1.db")
	write(t, path, bytes)
	var page int // of a bucket that has one of its own
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	_ = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			if string(name) != "meta" && string(name) != "indexes" && b.Root() != 0 {
				page = int(b.Root()) * db.Info().PageSize
			}
			return nil
		})
	})
	if err := db.Close(); err != nil || page == 0 {
		t.Fatalf("page at %d, %v", page, err)
	}
	for i := range 16 { // its head: what it is and how many it has
		bytes[page+i] = 0xff
	}
	write(t, path, bytes)
	s, err := Open(Options{Dir: dir})
	if err == nil {
		_ = s.Close()
		t.Fatal("a damaged file was opened")
	}
	if got := schemaOf(t, path); got != "1" {
		t.Errorf("schema %s after %v, want 1", got, err)
	}
}

// TestMigrateKeepsFreeList: whoever dies after a migration of a file that was closed in order leaves one that opens as such.
func TestMigrateKeepsFreeList(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, storeFile)
	write(t, path, read(t, "testdata/schema1.db"))
	s := newStore(Options{Dir: dir}.withDefaults())
	if err := s.migrate(1, migrations); err != nil {
		t.Fatal(err)
	}
	// The place of the list in the newer of the two meta pages; where there is none, all bits are set.
	file, freeList, newest := read(t, path), uint64(0), uint64(0)
	for _, meta := range [][]byte{file, file[os.Getpagesize():]} {
		if tx := binary.LittleEndian.Uint64(meta[64:]); tx >= newest {
			newest, freeList = tx, binary.LittleEndian.Uint64(meta[48:])
		}
	}
	if freeList == math.MaxUint64 || schemaOf(t, path) != strconv.Itoa(schemaVersion) {
		t.Errorf("list of free pages at %d", freeList)
	}
}

// TestMigrateWithoutABucket: a file that lacks one is refused and stays as it is.
func TestMigrateWithoutABucket(t *testing.T) {
	for _, name := range []string{"indexes", "keys", "quarantine"} {
		for schema := 1; schema < schemaVersion; schema++ {
			dir := t.TempDir()
			path := filepath.Join(dir, storeFile)
			write(t, path, read(t, fmt.Sprintf("testdata/schema%d.db", schema)))
			db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Minute})
			if err == nil {
				err = db.Update(func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte(name)) })
			}
			if err = errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
			before := read(t, path)
			s, err := Open(Options{Dir: dir})
			if err == nil {
				_ = s.Close()
			}
			if te := task.AsError(err); te == nil || te.Code != task.FailedPrecondition || te.Hint == "" {
				t.Errorf("schema %d without %s: %v", schema, name, err)
			}
			if left, _ := filepath.Glob(path + "?*"); len(left) > 0 || string(read(t, path)) != string(before) {
				t.Errorf("schema %d without %s: changed, or left behind: %v", schema, name, left)
			}
		}
	}
}
