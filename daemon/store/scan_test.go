package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"durable/ipc/task"
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

// TestScanBackwards: leaves that the same transaction has emptied hide nothing that lies before them.
func TestScanBackwards(t *testing.T) {
	s := openTest(t, Options{Dir: t.TempDir()})
	id := func(n int) []byte { return binary.BigEndian.AppendUint64(make([]byte, 17, 40), uint64(n)) }
	const n = 1000
	first := append(make([]byte, 16), bytes.Repeat([]byte{7}, idSize)...)
	err := s.Update(context.Background(), Essential, func(tx *Tx) error {
		err := tx.put(rByRoot, first, nil)
		for i := range n {
			err = errors.Join(err, tx.put(rByEnd, id(i), nil))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for gone := 0; gone <= n; gone += 50 {
		err := s.Update(context.Background(), Essential, func(tx *Tx) error {
			for i := range gone {
				if err := tx.delete(rByEnd, id(i)); err != nil {
					return err
				}
			}
			if k, _ := tx.scan(rByRoot).Last(); !bytes.Equal(k, first) {
				t.Errorf("%d gone: last is %x, want %x", gone, k, first)
			}
			left := 0
			ends := tx.scan(rByEnd)
			for k, _ := ends.Last(); k != nil; k, _ = ends.Prev() {
				left++
			}
			if left != n-gone {
				t.Errorf("%d gone: %d left, want %d", gone, left, n-gone)
			}
			for i := range gone / 2 { // from the other side
				if err := tx.delete(rByEnd, id(n-1-i)); err != nil && gone <= n/2 {
					return err
				}
			}
			if k, _ := tx.scan(rEvents).Last(); k != nil {
				t.Errorf("an event %x", k)
			}
			return errors.New("rolled back")
		})
		if err.Error() != "rolled back" {
			t.Fatal(err)
		}
	}
}

// TestKeysOfTheGone: a key that outlives its task no longer lies between the tasks, and goes when it has had its time.
func TestKeysOfTheGone(t *testing.T) {
	now := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	s := openTest(t, Options{Dir: t.TempDir(), Now: func() time.Time { return now }})
	r, at := placeOfKey(timedKey)
	var id task.ID
	err := s.Update(context.Background(), Essential, func(tx *Tx) error {
		rec := noop()
		err := errors.Join(tx.PutKey(timedKey, KeyEntry{Hash: [32]byte{7}}, &rec), tx.Create(&rec))
		id = rec.Task.ID
		if tx.get(r, at) == nil {
			t.Error("it is not between the tasks")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Update(context.Background(), Essential, func(tx *Tx) error {
		err := tx.Delete(id)
		if e, ok, _ := tx.Key(timedKey); !ok || e.Hash[0] != 7 || tx.get(r, at) != nil {
			t.Errorf("after the removal: %v %v, still between the tasks: %v", e, ok, tx.get(r, at) != nil)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(KeyRetention + time.Hour)
	if _, err := create(s, Admission); err != nil {
		t.Fatal(err)
	}
	_ = s.View(func(tx *Tx) error {
		if _, ok, _ := tx.Key(timedKey); ok || tx.get(rKeys, []byte(timedKey)) != nil {
			t.Error("it has outlived its retention")
		}
		return nil
	})
}
