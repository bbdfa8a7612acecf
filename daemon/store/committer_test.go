package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"durable/ipc/task"
)

// openTest opens a store in a folder of its own. Its file is checked at the end.
func openTest(t *testing.T, o Options) *Store {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		checkFile(t, o.Dir)
	})
	return s
}

func checkFile(t *testing.T, dir string) {
	t.Helper()
	opts := boltOptions(time.Minute)
	opts.ReadOnly = true
	db, err := bbolt.Open(filepath.Join(dir, storeFile), 0o600, opts)
	if err != nil {
		t.Errorf("check: %v", err)
		return
	}
	defer db.Close()
	_ = db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			t.Errorf("check: %v", err)
		}
		return nil
	})
}

func noop() Record {
	return Record{Task: task.Task{Kind: "noop", Status: task.StatusPending, Phase: task.PhaseQueued}}
}

// create makes a task and returns it, or the error.
func create(s *Store, class Class) (Record, error) {
	var rec Record
	err := s.Update(context.Background(), class, func(tx *Tx) error {
		rec = noop()
		return tx.Create(&rec)
	})
	return rec, err
}

func countTasks(t *testing.T, s *Store) (n int) {
	t.Helper()
	err := s.View(func(tx *Tx) error {
		list, err := tx.List(task.ListQuery{Limit: task.MaxLimit})
		n = len(list.Tasks)
		if err == nil && *list.Total != n {
			t.Errorf("total %d, %d tasks", *list.Total, n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestCommitFails: an error that is none of space ends the store. Whoever was in the group is told that
// the outcome is unknown, nobody is notified, and everything after is refused.
func TestCommitFails(t *testing.T) {
	for _, tt := range []struct {
		kept  bool
		cause error
	}{
		{false, syscall.EIO},
		{true, syscall.EIO},
		{true, syscall.ENOSPC}, // of the sync after the meta page: too late to take it back
	} {
		t.Run(fmt.Sprintf("kept=%v,%v", tt.kept, tt.cause), func(t *testing.T) {
			var notified atomic.Int32
			dir := t.TempDir()
			s := openTest(t, Options{Dir: dir, OnCommit: func() { notified.Add(1) }})
			if _, err := create(s, Admission); err != nil {
				t.Fatal(err)
			}
			s.commitFunc = func(b *bbolt.Tx) error {
				if tt.kept {
					if err := b.Commit(); err != nil {
						t.Error(err)
					}
				} else if err := b.Rollback(); err != nil {
					t.Error(err)
				}
				return tt.cause
			}
			var wg sync.WaitGroup
			var unknown, refused atomic.Int32
			for range 8 {
				wg.Go(func() {
					_, err := create(s, Essential)
					switch e := task.AsError(err); {
					case e == nil:
						t.Error("acknowledged")
					case e.Details[task.DetailOutcome] == "unknown" && errors.Is(err, tt.cause):
						unknown.Add(1)
					case errors.Is(err, task.Unavailable):
						refused.Add(1)
					default:
						t.Errorf("error %v", err)
					}
				})
			}
			wg.Wait()
			<-s.Failed()
			if unknown.Load() == 0 || unknown.Load()+refused.Load() != 8 {
				t.Errorf("%d unknown, %d refused", unknown.Load(), refused.Load())
			}
			if !errors.Is(s.Err(), tt.cause) || notified.Load() != 1 {
				t.Errorf("err %v, %d notifications", s.Err(), notified.Load())
			}
			if err := s.View(func(*Tx) error { t.Error("shown"); return nil }); !errors.Is(err, task.Unavailable) {
				t.Errorf("view: %v", err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			want := 1
			if tt.kept {
				want += int(unknown.Load())
			}
			again := openTest(t, Options{Dir: dir})
			if n := countTasks(t, again); n != want {
				t.Errorf("%d tasks after reopening, want %d", n, want)
			}
		})
	}
}

// TestViewWaitsForSync: bbolt shows a commit before it is synced. A view that has seen it must not answer
// before it is, and must not answer at all if it never is.
func TestViewWaitsForSync(t *testing.T) {
	for _, fails := range []bool{false, true} {
		t.Run(fmt.Sprintf("fails=%v", fails), func(t *testing.T) {
			s := openTest(t, Options{})
			visible, goOn := make(chan struct{}), make(chan struct{})
			s.commitFunc = func(b *bbolt.Tx) error {
				err := b.Commit() // stands for the write of the meta page; what follows for its sync
				close(visible)
				<-goOn
				if fails {
					return syscall.EIO
				}
				return err
			}
			updated, viewed := make(chan error, 1), make(chan error, 1)
			go func() { _, err := create(s, Admission); updated <- err }()
			<-visible
			seen := make(chan int, 1)
			go func() {
				viewed <- s.View(func(tx *Tx) error {
					list, err := tx.List(task.ListQuery{})
					seen <- len(list.Tasks)
					return err
				})
			}()
			if n := <-seen; n != 1 {
				t.Fatalf("the view saw %d tasks: the test tests nothing", n)
			}
			select {
			case err := <-viewed:
				t.Fatalf("the view has answered before the sync: %v", err)
			default:
			}
			close(goOn)
			if err := <-viewed; (err != nil) != fails || fails && !errors.Is(err, task.Unavailable) {
				t.Errorf("view: %v", err)
			}
			if err := <-updated; (err != nil) != fails {
				t.Errorf("update: %v", err)
			}
		})
	}
}

// disk is a disk that a test can fill.
type disk struct{ full atomic.Bool }

func (d *disk) commit(b *bbolt.Tx) error {
	if !d.full.Load() {
		return b.Commit()
	}
	if err := b.Rollback(); err != nil {
		return err
	}
	return &os.PathError{Op: "write", Path: storeFile, Err: syscall.ENOSPC}
}

// TestDiskFull: new work is refused, what is essential uses the reserve, and admission comes back by
// itself when there is space.
func TestDiskFull(t *testing.T) {
	now := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	s := openTest(t, Options{Now: func() time.Time { return now }, Reserve: 1 << 20})
	reserve := filepath.Join(s.o.Dir, reserveFile)
	if fi, err := os.Stat(reserve); err != nil || fi.Size() != 1<<20 {
		t.Fatalf("reserve: %v", err)
	}
	before, err := create(s, Admission)
	if err != nil {
		t.Fatal(err)
	}
	full := new(disk)
	s.commitFunc = func(b *bbolt.Tx) error {
		_, err := os.Stat(reserve) // with the reserve gone there is room
		full.full.Store(err == nil)
		return full.commit(b)
	}
	if _, err := create(s, Admission); !errors.Is(err, task.ResourceExhausted) || !s.Full() {
		t.Fatalf("first refused: %v, full %v", err, s.Full())
	}
	if _, err := os.Stat(reserve); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the reserve is still held: %v", err)
	}
	err = s.Update(context.Background(), Essential, func(tx *Tx) error {
		rec, err := tx.Task(before.Task.ID)
		if err != nil {
			return err
		}
		rec.Task.Status, rec.Task.Phase = task.StatusCancelled, task.PhaseNone
		return tx.Put(rec, task.EventStatus)
	})
	if err != nil {
		t.Errorf("essential: %v", err)
	}
	if _, err := create(s, Admission); !errors.Is(err, task.ResourceExhausted) {
		t.Errorf("refused within the same second: %v", err)
	}
	if s.Err() != nil {
		t.Errorf("a full disk has failed the store: %v", s.Err())
	}
	s.commitFunc = (*bbolt.Tx).Commit
	now = now.Add(2 * reopenEvery)
	if _, err := create(s, Admission); err != nil || s.Full() {
		t.Errorf("with space again: %v, full %v", err, s.Full())
	}
	if fi, err := os.Stat(reserve); err != nil || fi.Size() != 1<<20 {
		t.Errorf("reserve is not held again: %v", err)
	}
	if n := countTasks(t, s); n != 2 {
		t.Errorf("%d tasks, want 2", n)
	}
}

// TestDiskFullMixed: the essential part of a group gets through, the rest of it is refused.
func TestDiskFullMixed(t *testing.T) {
	s := openIdle(t, Options{Reserve: 1 << 20})
	group := []*request{}
	for i := range 6 {
		group = append(group, &request{class: Class(i % 2), done: make(chan struct{}), fn: func(tx *Tx) error {
			rec := noop()
			rec.Task.Title = fmt.Sprint(i)
			return tx.Create(&rec)
		}})
	}
	failures := 1
	s.commitFunc = func(b *bbolt.Tx) error {
		full := new(disk)
		full.full.Store(failures > 0)
		failures--
		return full.commit(b)
	}
	s.commit(group)
	for _, r := range group {
		if refused := errors.Is(r.err, task.ResourceExhausted); refused != (r.class == Admission) || !refused && r.err != nil {
			t.Errorf("class %d: %v", r.class, r.err)
		}
	}
	if n := countTasks(t, s); n != 3 {
		t.Errorf("%d tasks, want the 3 essential ones", n)
	}
}

// TestDiskFullForAll: when even the reserve does not suffice, everybody learns that nothing has happened.
func TestDiskFullForAll(t *testing.T) {
	s := openTest(t, Options{Reserve: 1 << 20})
	full := new(disk)
	full.full.Store(true)
	s.commitFunc = full.commit
	for range 3 {
		if _, err := create(s, Essential); !errors.Is(err, task.ResourceExhausted) {
			t.Errorf("essential: %v", err)
		}
	}
	full.full.Store(false)
	if _, err := create(s, Essential); err != nil {
		t.Errorf("essential, with space again: %v", err)
	}
	if n := countTasks(t, s); n != 1 {
		t.Errorf("%d tasks, want 1", n)
	}
}

// openIdle opens a store without its committer, so that a test can be the committer.
func openIdle(t *testing.T, o Options) *Store {
	t.Helper()
	first := openTest(t, o)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	s := newStore(first.o)
	if err := s.openFile(s.path()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.db.Close() })
	return s
}

// TestGroupIsBounded: a transaction takes no more than a group, and all that wait get through.
func TestGroupIsBounded(t *testing.T) {
	var sizes []int
	var inTx int
	s := openTest(t, Options{OnCommit: func() { sizes = append(sizes, inTx); inTx = 0 }})
	inside, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = s.Update(context.Background(), Essential, func(*Tx) error { close(inside); <-release; return nil })
	})
	<-inside
	for range maxGroup + 100 {
		wg.Go(func() {
			err := s.Update(context.Background(), Admission, func(tx *Tx) error {
				inTx++
				rec := noop()
				return tx.Create(&rec)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	close(release)
	wg.Wait()
	if n := countTasks(t, s); n != maxGroup+100 || slices.Max(sizes) > maxGroup {
		t.Errorf("%d tasks in groups of %v", n, sizes)
	}
}

// TestReadOnlyUpdate: an update that changes nothing costs no commit.
func TestReadOnlyUpdate(t *testing.T) {
	s := openTest(t, Options{OnCommit: func() { t.Error("committed") }})
	err := s.Update(context.Background(), Essential, func(tx *Tx) error {
		_, err := tx.Counts()
		return err
	})
	if err != nil || s.Info().Commits != 0 {
		t.Errorf("%v, %d commits", err, s.Info().Commits)
	}
}
