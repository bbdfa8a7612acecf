package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
)

// TestScan: a scan sees its region whole and nothing of those beside it, from both ends, whatever is in them.
func TestScan(t *testing.T) {
	id := func(n byte) []byte { return append(make([]byte, idSize-1), n) }
	between := append(id(2), "0/submit/"...)
	all := map[region][][]byte{
		rAsking:     {id(9)},
		rTasks:      {id(1), id(2), between, id(3)},
		rReady:      {append([]byte{0, 0}, id(4)...)},
		rQuarantine: {id(0), bytes.Repeat([]byte{0xff}, idSize)},
	}
	for _, gone := range []region{0, rAsking, rTasks, rReady, rQuarantine} {
		s := openTest(t, Options{Dir: t.TempDir()})
		err := s.Update(context.Background(), Essential, func(tx *Tx) error {
			for r, keys := range all {
				for _, k := range keys {
					if r == gone {
						continue
					}
					if err := tx.put(r, k, nil); err != nil {
						return err
					}
				}
			}
			for r := rEvents; r < regionEnd; r++ {
				want := slices.DeleteFunc(slices.Clone(all[r]), func(k []byte) bool { return r == gone || &k[0] == &between[0] })
				var up, down [][]byte
				s := tx.scan(r)
				for k, _ := s.First(); k != nil; k, _ = s.Next() {
					up = append(up, bytes.Clone(k))
				}
				for k, _ := s.Last(); k != nil; k, _ = s.Prev() {
					down = append(down, bytes.Clone(k))
				}
				slices.Reverse(down)
				if !slices.EqualFunc(up, want, bytes.Equal) || !slices.EqualFunc(down, want, bytes.Equal) {
					t.Errorf("without %s, %s: %x upwards, %x downwards, want %x", gone, r, up, down, want)
				}
			}
			if k, _ := tx.scan(rTasks).Seek(between); gone != rTasks && !bytes.Equal(k, id(3)) {
				t.Errorf("seek of a key between two tasks: %x", k)
			}
			return errors.New("that was all")
		})
		if err == nil || err.Error() != "that was all" {
			t.Fatal(err)
		}
	}
}

// TestPlaceOfKey: only what ends with a UUID of version 7, as it is usually written, and begins with something, lies between the tasks.
func TestPlaceOfKey(t *testing.T) {
	id := uuid.MustParse("019ab1c0-7c00-7000-8000-00000000000a")
	for name, rest := range map[string]string{
		"0/submit/" + id.String(): "0/submit/",
		"x" + id.String():         "x",
		id.String():               "",
		"0/submit/019AB1C0-7C00-7000-8000-00000000000A":    "",
		"0/submit/019ab1c0-7c00-4000-8000-00000000000a":    "",
		"0/submit/019ab1c0-7c00-7000-8000-00000000000":     "",
		"0/submit/" + id.String() + "!":                    "",
		"0/submit/urn:uuid:019ab1c07c0070008000000000000a": "",
	} {
		r, key := placeOfKey(name)
		wantR, want := rKeys, []byte(name)
		if rest != "" {
			wantR, want = rTasks, append(id[:], rest...)
		}
		if r != wantR || !bytes.Equal(key, want) {
			t.Errorf("%s: %s %q, want %s %q", name, r, key, wantR, want)
		}
		if got := placeInTree([]byte(name)); !bytes.Equal(got, append([]byte{byte(wantR)}, want...)) {
			t.Errorf("%s: migrated to %q", name, got)
		}
	}
}

// TestMigratedKeys: an idempotency key of schema 2 is found where schema 3 looks for it, among many tasks as well.
func TestMigratedKeys(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, storeFile)
	write(t, path, read(t, "testdata/schema2.db"))
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	const n = 3000
	last := uuid.UUID{}
	var names []string
	err = db.Update(func(tx *bbolt.Tx) error {
		for i := range n {
			last = nextID(last, time.Now())
			if err := tx.Bucket([]byte("tasks")).Put(last[:], bytes.Repeat([]byte{1}, 400)); err != nil {
				return err
			}
			name := fmt.Sprintf("%d/submit/%s", i%3, nextID(last, time.Now()))
			names = append(names, name)
			value := seal([]byte(name), keyFields.append(make([]byte, sealSize, 64), &KeyEntry{TaskID: formatID(last[:]), Hash: [32]byte{byte(i)}}))
			if err := tx.Bucket([]byte("keys")).Put([]byte(name), value); err != nil {
				return err
			}
		}
		return nil
	})
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	s := newStore(Options{Dir: dir}.withDefaults())
	if err := s.migrate(2, migrations); err != nil {
		t.Fatal(err)
	}
	if _, err := inspect(path, time.Second, true); err != nil {
		t.Fatal(err)
	}
	if err := s.openFile(path); err != nil {
		t.Fatal(err)
	}
	defer s.db.Close()
	_ = s.View(func(tx *Tx) error {
		for i, name := range names {
			if e, ok, err := tx.Key(name); !ok || err != nil || e.Hash[0] != byte(i) {
				t.Fatalf("key %s: %+v %v %v", name, e, ok, err)
			}
		}
		tasks := 0
		scan := tx.scan(rTasks)
		for k, _ := scan.First(); k != nil; k, _ = scan.Next() {
			tasks++
		}
		if tasks != n+4 {
			t.Errorf("%d tasks, want %d", tasks, n+4)
		}
		return nil
	})
}
