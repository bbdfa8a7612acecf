package store

import (
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"durable/ipc/task"
)

// Options say where a store is and how it works. Dir is required; the zero value of every other field is
// its default.
type Options struct {
	// Dir is the state folder; it is made, with mode 0700, if it is not there.
	Dir    string
	Logger *slog.Logger
	Now    func() time.Time
	// Hook, if set, is called at named points (the Point constants), from the goroutine that is there.
	// It is for tests that stop a process at the worst moment.
	Hook func(point string)
	// OnCommit, if set, is called after each successful commit, before those who asked for it are
	// answered. It must not block.
	OnCommit func()
	// JournalMax and JournalAge bound the journal.
	JournalMax int
	JournalAge time.Duration
	// Reserve is the number of bytes that are kept back for the day when the disk is full.
	Reserve int64
	// LockTimeout is how long to wait for another process that holds the store.
	LockTimeout time.Duration
}

// Defaults of [Options].
const (
	DefaultReserve     = 8 << 20
	DefaultLockTimeout = time.Second
)

// Points at which [Options.Hook] is called.
const (
	PointCommitBefore  = "commit.before"  // all is ready to be written
	PointCommitSynced  = "commit.synced"  // durable, nobody knows yet
	PointCreateWritten = "create.written" // a new store is complete under its temporary name
	PointCreateRenamed = "create.renamed" // it has its name, the marker is missing

	PointMigrateStep    = "migrate.step"    // a step of a migration has made its file, under a temporary name
	PointMigrateKept    = "migrate.kept"    // the old file has its second name
	PointMigrateRenamed = "migrate.renamed" // the new one has its place
)

// Class says what becomes of a change when the disk is full.
type Class int

const (
	// Admission is new work: refused with [task.ResourceExhausted] while the disk is full.
	Admission Class = iota
	// Essential is what tasks that are there need: cancels, endings, checkpoints. It may use the reserve.
	Essential
)

// Store is an open store. Its methods may be called from any goroutine.
type Store struct {
	o          Options
	db         *bbolt.DB
	epoch      string
	journalMax uint64
	journalAge time.Duration

	requests  chan *request
	closing   chan struct{} // closed by Close
	done      chan struct{} // closed when the committer has gone
	closeOnce sync.Once
	closeErr  error

	// committing is write-locked while a commit is under way. bbolt shows a commit to readers before it
	// is synced; a view that has seen one waits here before it answers.
	committing sync.RWMutex
	durable    atomic.Int64 // the last transaction that is known to be on disk

	failed   chan struct{}
	failOnce sync.Once
	failErr  atomic.Pointer[error]

	full    atomic.Bool
	commits atomic.Uint64
	damage  damageList

	// The committer's own.
	st         state
	lastTry    time.Time // of leaving the state full
	lastPrune  time.Time
	prune      bool // there is more to prune
	commitFunc func(*bbolt.Tx) error
	stuck      bool // a transaction could not even be rolled back: closing the file would block
}

// Info describes a store.
type Info struct {
	Path    string
	Size    int64 // of the file, in bytes
	Schema  int
	Epoch   string
	Commits uint64 // since it was opened
	// Quarantined names the records that were set aside, in sentences.
	Quarantined []string
}

// Failed returns a channel that is closed when a commit has failed in a way that only reopening the store
// can settle. From then on everything is refused.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// Err returns why the store has failed; nil while it has not.
func (s *Store) Err() error {
	if err := s.failErr.Load(); err != nil {
		return *err
	}
	return nil
}

// Full reports whether admission is stopped because the disk is full.
func (s *Store) Full() bool { return s.full.Load() }

// Info describes the store as it is now.
func (s *Store) Info() Info {
	info := Info{Path: s.path(), Schema: schemaVersion, Epoch: s.epoch, Commits: s.commits.Load()}
	if fi, err := os.Stat(info.Path); err == nil {
		info.Size = fi.Size()
	}
	damaged := s.damage.snapshot()  // before the view: what is moved meanwhile is seen there
	_ = s.View(func(tx *Tx) error { // a store that has failed says so elsewhere
		info.Quarantined = tx.quarantined()
		for key := range damaged { // the list is emptied after the commit
			if tx.setAside(key) != "" {
				delete(damaged, key)
			}
		}
		return nil
	})
	for key, reason := range damaged {
		info.Quarantined = append(info.Quarantined, errSetAside(formatID(key[:]), reason).Error())
	}
	return info
}

// View calls fn with a read transaction. Several may run at once, also beside an update. What fn has seen is
// durable when View returns nil.
func (s *Store) View(fn func(*Tx) error) error {
	if err := s.usable(); err != nil {
		return err
	}
	b, err := s.db.Begin(false)
	if err != nil {
		return task.Errorf(task.Unavailable, "store: %w", err)
	}
	id := int64(b.ID())
	tx := &Tx{s: s, b: b, now: s.o.Now()}
	err = contain(func() error { return fn(tx) })
	_ = b.Rollback() // ends the transaction; of a view it cannot fail otherwise
	if s.isBroken(err) {
		return s.fail(err)
	}
	if id > s.durable.Load() {
		s.committing.RLock()
		failed := s.Err() != nil
		s.committing.RUnlock()
		if failed {
			return s.usable()
		}
	}
	return err
}

func (s *Store) usable() error {
	if err := s.Err(); err != nil {
		return task.Errorf(task.Unavailable, "the store has failed: %w", err).
			WithHint("the daemon restarts to find out what is on disk")
	}
	select {
	case <-s.closing:
		return errClosed()
	default:
		return nil
	}
}

func errClosed() error {
	return task.Errorf(task.Unavailable, "the store is closed").WithHint("the daemon is leaving; ask again in a moment")
}

// fail makes the store refuse everything from now on, and returns err.
func (s *Store) fail(err error) error {
	s.failOnce.Do(func() {
		s.failErr.Store(&err)
		close(s.failed)
		s.o.Logger.Error("store failed", "path", s.path(), "err", err, "stack", stackOf(err))
	})
	return task.Errorf(task.Unavailable, "the store has failed: %w", err).
		WithHint("the daemon restarts to find out what is on disk")
}
