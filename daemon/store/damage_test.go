package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"durable/ipc/task"
)

// spoilRecord flips a bit of a record in the file of a closed store.
func spoilRecord(t *testing.T, dir, title string) {
	t.Helper()
	path := filepath.Join(dir, storeFile)
	b := read(t, path)
	flipped := 0
	for at := 0; ; {
		i := bytes.Index(b[at:], []byte(title))
		if i < 0 {
			break
		}
		at += i + 1
		b[at+2] ^= 0x20
		flipped++
	}
	if flipped == 0 {
		t.Fatalf("%q is not in the file", title)
	}
	write(t, path, b)
}

// TestQuarantine: a record that cannot be read is set aside whole, named, and stops nothing else.
func TestQuarantine(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, Options{Dir: dir})
	var ids []task.ID
	for _, title := range []string{"first", "unfortunate", "third"} {
		err := s.Update(context.Background(), Admission, func(tx *Tx) error {
			rec := noop()
			rec.Task.Title = title
			err := tx.Create(&rec)
			ids = append(ids, rec.Task.ID)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	spoilRecord(t, dir, "unfortunate")
	key, _ := key16(ids[1])

	s = openTest(t, Options{Dir: dir})
	var raw []byte
	err := s.View(func(tx *Tx) error {
		raw = bytes.Clone(tx.get(rTasks, key[:]))
		_, err := tx.Task(ids[1])
		return err
	})
	if !errors.Is(err, task.Internal) || !strings.Contains(err.Error(), "set aside") {
		t.Errorf("task: %v", err)
	}
	if _, err := create(s, Admission); err != nil { // also gives the committer its turn
		t.Fatal(err)
	}
	waitAside(t, s, key)
	err = s.View(func(tx *Tx) error {
		if kept := tx.get(rQuarantine, key[:]); !bytes.HasSuffix(kept, append([]byte{0}, raw...)) {
			t.Errorf("the record was not kept as it was")
		}
		for name, ids := range map[string]func() ([]task.ID, error){
			"ready":   func() ([]task.ID, error) { return tx.Ready(10) },
			"pending": func() ([]task.ID, error) { return tx.ByStatus(task.StatusPending, 10) },
		} {
			if got, err := ids(); err != nil || len(got) != 3 {
				t.Errorf("%s: %d tasks, %v", name, len(got), err)
			}
		}
		if _, err := tx.Task(ids[1]); !errors.Is(err, task.Internal) || !strings.Contains(err.Error(), "set aside") {
			t.Errorf("task, afterwards: %v", err)
		}
		if id, err := tx.Resolve(ids[1].Ref()); err != nil || id != ids[1] {
			t.Errorf("it cannot be asked for: %s, %v", id, err)
		}
		if n, _ := tx.ReadyCount(); n != 3 {
			t.Errorf("ready count %d", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := countTasks(t, s); n != 3 {
		t.Errorf("%d tasks listed, want 3", n)
	}
	if q := s.Info().Quarantined; len(q) != 1 || !strings.Contains(q[0], string(ids[1])) {
		t.Errorf("info: %q", q)
	}
	s.damage.mu.Lock() // as between the commit that moves it and the list's update
	s.damage.reasons = map[uuid.UUID]string{uuid.UUID(key): "damaged"}
	s.damage.mu.Unlock()
	if q := s.Info().Quarantined; len(q) != 1 {
		t.Errorf("info while it is moved: %q", q)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, Options{Dir: dir})
	if q := s.Info().Quarantined; len(q) != 1 || !strings.Contains(q[0], string(ids[1])) {
		t.Errorf("info after reopening: %q", q)
	}
}

// waitAside waits for the committer to move a record: its commits are what there is to wait for.
func waitAside(t *testing.T, s *Store, key uuid.UUID) {
	t.Helper()
	for range 100 {
		if !s.damage.has(key) {
			return
		}
		if _, err := s.touch(); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("the record was not set aside")
}

// touch makes the committer go round once.
func (s *Store) touch() (n int, err error) {
	return n, s.Update(context.Background(), Essential, func(tx *Tx) error { n++; return nil })
}

// TestDamagedEvent: a gap in the journal is shown.
func TestDamagedEvent(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, Options{Dir: dir})
	err := s.Update(context.Background(), Essential, func(tx *Tx) error {
		return errors.Join(tx.Append(task.Event{Type: task.EventKinds, Message: "unfortunate"}), tx.Append(task.Event{Type: task.EventKinds}))
	})
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	spoilRecord(t, dir, "unfortunate")
	s = openTest(t, Options{Dir: dir})
	err = s.View(func(tx *Tx) error {
		events, err := tx.Events(task.CursorStart, 10)
		if len(events) != 2 || !strings.Contains(events[0].Message, "cannot be read") || events[1].Type != task.EventKinds {
			t.Errorf("%+v", events)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDamagedCheckpoint: it is an error, not a task that begins again from nothing.
func TestDamagedCheckpoint(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, Options{Dir: dir})
	rec, err := create(s, Admission)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Update(context.Background(), Essential, func(tx *Tx) error {
		return tx.PutCheckpoint(rec.Task.ID, []byte("unfortunate"))
	})
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	spoilRecord(t, dir, "unfortunate")
	s = openTest(t, Options{Dir: dir})
	err = s.View(func(tx *Tx) error {
		if rec, err := tx.Task(rec.Task.ID); err != nil || rec.Task.Checkpoint == nil {
			t.Errorf("task: %v", err)
		}
		_, err := tx.Checkpoint(rec.Task.ID)
		return err
	})
	if !errors.Is(err, task.Internal) {
		t.Errorf("checkpoint: %v", err)
	}
}

// TestBadPageWhileOpen: bbolt panics when it meets a page that is none. That fails the store, with an error,
// and not the process.
func TestBadPageWhileOpen(t *testing.T) {
	for _, truncated := range []bool{false, true} {
		dir := madeStore(t, 2000, true)
		s, err := Open(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, storeFile)
		if truncated {
			err = os.Truncate(path, 16<<10)
		} else {
			var f *os.File
			if f, err = os.OpenFile(path, os.O_WRONLY, 0); err == nil {
				_, err = f.WriteAt(make([]byte, 400<<10), 16<<10)
				err = errors.Join(err, f.Close())
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		err = s.View(func(tx *Tx) error {
			_, err := tx.List(task.ListQuery{Limit: 1000})
			return err
		})
		if !errors.Is(err, task.Unavailable) || s.Err() == nil {
			t.Errorf("truncated %v: view: %v, failed: %v", truncated, err, s.Err())
		}
		if _, err := create(s, Essential); !errors.Is(err, task.Unavailable) {
			t.Errorf("update: %v", err)
		}
		_ = s.Close()
	}
}

// TestBadPageInUpdate: the same in the committer.
func TestBadPageInUpdate(t *testing.T) {
	dir := madeStore(t, 2000, true)
	s, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, storeFile), 16<<10); err != nil {
		t.Fatal(err)
	}
	_, err = create(s, Essential)
	if task.AsError(err) == nil || task.AsError(err).Details[task.DetailOutcome] != "unknown" || s.Err() == nil {
		t.Errorf("update: %v", err)
	}
	_ = s.Close()
}

// spoilTree changes the file of a closed store where the root page of the tree is.
func spoilTree(t *testing.T, dir string, spoil func(file []byte, root, page int)) {
	t.Helper()
	path := filepath.Join(dir, storeFile)
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	root, page := 0, db.Info().PageSize
	_ = db.View(func(tx *bbolt.Tx) error { root = int(tx.Bucket(bucketTree).Root()) * page; return nil })
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	file := read(t, path)
	spoil(file, root, page)
	write(t, path, file)
}

// branchChild returns where the nth child of the branch page at root is, and where its element.
func branchChild(file []byte, root, page, n int) (child, element int) {
	element = root + 16 + 16*n
	return page * int(binary.LittleEndian.Uint64(file[element+8:])), element
}

// TestBackupOfABadPage: it fails, and neither hangs nor leaves anything.
func TestBackupOfABadPage(t *testing.T) {
	dir := madeStore(t, 2000, true)
	spoilTree(t, dir, func(file []byte, root, page int) {
		n := int(binary.LittleEndian.Uint16(file[root+10:]))
		child, _ := branchChild(file, root, page, n/2)
		copy(file[child:], bytes.Repeat([]byte{0xff}, 16))
	})
	s, err := Open(Options{Dir: dir}) // it was closed in order: not all of it is read
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	into := t.TempDir()
	if _, err := s.Backup(context.Background(), filepath.Join(into, "backup.db"), false); err == nil {
		t.Error("no error")
	}
	if left, _ := filepath.Glob(filepath.Join(into, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestBadBranch: a store that was not closed in order is refused when any byte of a branch that matters is wrong, or opens; it
// neither hangs nor ends the process.
func TestBadBranch(t *testing.T) {
	dir := madeStore(t, 3000, false)
	whole := read(t, filepath.Join(dir, storeFile))
	rnd := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for range 60 {
		write(t, filepath.Join(dir, storeFile), whole)
		spoilTree(t, dir, func(file []byte, root, page int) {
			for file[root+8] == 1 && rnd.IntN(3) > 0 { // some branch below
				child, _ := branchChild(file, root, page, rnd.IntN(int(binary.LittleEndian.Uint16(file[root+10:]))))
				if file[child+8] != 1 {
					break
				}
				root = child
			}
			n := int(binary.LittleEndian.Uint16(file[root+10:]))
			_, element := branchChild(file, root, page, rnd.IntN(n))
			switch rnd.IntN(3) {
			case 0: // the first byte of its key
				file[element+int(binary.LittleEndian.Uint32(file[element:]))] ^= byte(1 + rnd.IntN(255))
			case 1: // where its key is
				binary.LittleEndian.PutUint32(file[element:], 0x7fffffff)
			default: // whose child it is
				binary.LittleEndian.PutUint64(file[element+8:], uint64(rnd.IntN(len(file)/page)))
			}
		})
		s, err := Open(Options{Dir: dir})
		if err != nil {
			refused++
			continue
		}
		_ = s.Close()
	}
	if refused < 40 {
		t.Errorf("%d of 60 were refused", refused)
	}
}
