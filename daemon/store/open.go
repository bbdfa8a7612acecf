package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"durable/ipc/atomicfile"
	"durable/ipc/task"
)

// Files in the state folder besides the reserve.
const (
	storeFile  = "store.db"
	markerFile = "store.marker"
	tmpSuffix  = ".tmp"
)

func (s *Store) path() string { return filepath.Join(s.o.Dir, storeFile) }

// Open opens the store in o.Dir; where there has never been one, it makes a new one. What cannot be read is
// left as it is: every error comes before the first write to the file. Errors are [task.FailedPrecondition]
// (a damaged, foreign or held file), [task.VersionSkew] (a newer one), [task.PermissionDenied] or
// [task.ResourceExhausted], each with what to do.
func Open(o Options) (*Store, error) {
	o = o.withDefaults()
	s := newStore(o)
	if err := prepareDir(o.Dir); err != nil {
		return nil, err
	}
	if err := s.findOrCreate(); err != nil {
		return nil, err
	}
	f, err := inspect(s.path(), o.LockTimeout, false)
	if err != nil {
		return nil, err
	}
	if err := s.checkMarker(f.id); err != nil {
		return nil, err
	}
	if err := s.migrate(f.schema, migrations); err != nil {
		return nil, err
	}
	if err := s.openFile(s.path()); err != nil {
		return nil, err
	}
	if err := s.holdReserve(); isNoSpace(err) || errors.Is(err, errNoSpace) {
		s.full.Store(true)
		o.Logger.Warn("disk full: no new tasks are taken", "dir", o.Dir, "err", err)
	} else if err != nil { // a disk that cannot keep this will not keep a task
		_ = s.db.Close() // nothing was written
		return nil, errAccess(s.reservePath(), err)
	}
	go s.committer()
	return s, nil
}

func newStore(o Options) *Store {
	return &Store{
		o:          o,
		journalMax: uint64(o.JournalMax),
		journalAge: o.JournalAge,
		requests:   make(chan *request),
		closing:    make(chan struct{}),
		done:       make(chan struct{}),
		failed:     make(chan struct{}),
		commitFunc: (*bbolt.Tx).Commit,
		damage:     damageList{wake: make(chan struct{}, 1)},
	}
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Hook == nil {
		o.Hook = func(string) {}
	}
	if o.OnCommit == nil {
		o.OnCommit = func() {}
	}
	if o.JournalMax <= 0 {
		o.JournalMax = DefaultJournalMax
	}
	if o.JournalAge <= 0 {
		o.JournalAge = DefaultJournalAge
	}
	if o.Reserve <= 0 {
		o.Reserve = DefaultReserve
	}
	if o.LockTimeout <= 0 {
		o.LockTimeout = DefaultLockTimeout
	}
	return o
}

// findOrCreate makes a new store where there has never been one. The marker tells that from a store that
// is gone.
func (s *Store) findOrCreate() error {
	marker, err := readMarker(s.o.Dir)
	if err != nil {
		return err
	}
	fi, err := os.Stat(s.path())
	switch {
	case errors.Is(err, fs.ErrNotExist) && marker == "":
		return s.create()
	case errors.Is(err, fs.ErrNotExist):
		return errGone(s.path(), "is missing, but there was one")
	case err != nil:
		return errAccess(s.path(), err)
	case !fi.Mode().IsRegular():
		return task.Errorf(task.FailedPrecondition, "store %s is not a file", s.path()).
			WithHint("move it away, or name another state folder")
	case fi.Size() == 0:
		return errGone(s.path(), "is empty")
	}
	return nil
}

func errGone(path, what string) error {
	return task.Errorf(task.FailedPrecondition, "store %s %s; nothing was changed", path, what).
		WithHint("put it back from a backup (durabled restore FILE); to begin with an empty one, remove both %s, if it is there, and %s",
			path, filepath.Join(filepath.Dir(path), markerFile))
}

// create makes a new store: complete and on disk before it gets its name, and the marker last, so that a
// crash in between leaves either nothing or a store.
func (s *Store) create() error {
	tmp := s.path() + tmpSuffix
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errAccess(tmp, err)
	}
	id := uuid.NewString()
	if err := writeEmpty(tmp, id); err != nil {
		_ = os.Remove(tmp)
		return errAccess(s.path(), err)
	}
	s.o.Hook(PointCreateWritten)
	if err := publish(tmp, s.path()); err != nil {
		return errAccess(s.path(), err)
	}
	s.o.Hook(PointCreateRenamed)
	return writeMarker(s.o.Dir, id)
}

func writeEmpty(path, id string) error {
	db, err := bbolt.Open(path, 0o600, boltOptions(0))
	if err != nil {
		return err
	}
	db.NoFreelistSync = false
	err = db.Update(func(b *bbolt.Tx) error {
		if err := createBuckets(b); err != nil {
			return err
		}
		meta := b.Bucket(bucketMeta)
		st := state{Clean: true, FirstSeq: 1}
		return errors.Join(
			meta.Put(keySchema, sealText(keySchema, fmt.Sprint(schemaVersion))),
			meta.Put(keyStore, sealText(keyStore, id)),
			meta.Put(keyEpoch, sealText(keyEpoch, newEpoch())),
			meta.Put(keyWriter, sealText(keyWriter, task.Version())),
			putState(b, &st),
		)
	})
	return errors.Join(err, db.Close())
}

// newEpoch returns the name of a journal that no cursor can be of yet.
func newEpoch() string { return uuid.NewString()[:8] }

func sealText(key []byte, text string) []byte {
	return seal(key, append(make([]byte, sealSize), text...))
}

func readText(meta *bbolt.Bucket, key []byte) (string, error) {
	value := meta.Get(key)
	if value == nil {
		return "", fmt.Errorf("%w: no %s", errDamaged, key)
	}
	body, err := unseal(key, value)
	return string(body), err
}

// publish gives tmp its name for good.
func publish(tmp, path string) error {
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(path))
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// boltOptions: the map free list does not slow down with its length, and is not written with every commit:
// only when the store is closed in order. After a crash bbolt finds the free pages by reading the tree.
func boltOptions(lock time.Duration) *bbolt.Options {
	return &bbolt.Options{
		Timeout:         lock,
		FreelistType:    bbolt.FreelistMapType,
		NoFreelistSync:  true,
		InitialMmapSize: initialMmap,
		NoStatistics:    true,
	}
}

// openFile opens for writing what inspect has found to be sound.
func (s *Store) openFile(path string) error {
	if err := s.openBolt(path); err != nil {
		return err
	}
	err := s.db.View(func(b *bbolt.Tx) error {
		s.durable.Store(int64(b.ID()))
		if err := readState(b, &s.st); err != nil {
			return err
		}
		var err error
		s.epoch, err = readText(b.Bucket(bucketMeta), keyEpoch)
		return err
	})
	if err != nil {
		return explain(path, errors.Join(err, s.db.Close()))
	}
	return nil
}

func (s *Store) openBolt(path string) error {
	err := contain(func() (err error) {
		s.db, err = bbolt.Open(path, 0o600, boltOptions(s.o.LockTimeout))
		return err
	})
	if err != nil {
		return explain(path, err)
	}
	s.db.AllocSize = allocSize
	return nil
}

// allocSize is by how much the file grows at once, in bytes: each step costs one more sync.
const allocSize = 4 << 20

// Close waits for updates that are under way, refuses all others and closes the file. Closing twice is fine.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		close(s.closing)
		<-s.done
		if s.stuck {
			return // the file's locks go with the process
		}
		if s.Err() == nil {
			s.closeErr = s.closeClean()
		}
		s.closeErr = errors.Join(s.closeErr, s.db.Close())
	})
	return s.closeErr
}

// closeClean writes the free list, so that the next start need not read the whole file. On a full disk it
// is done without.
func (s *Store) closeClean() error {
	return contain(func() error {
		s.db.NoFreelistSync = false
		err := s.db.Update(func(b *bbolt.Tx) error {
			st := s.st
			st.Clean = true
			return putState(b, &st)
		})
		if isNoSpace(err) {
			return nil
		}
		return err
	})
}

// explain gives an error of bbolt or of the file a message and a remedy.
func explain(path string, err error) error {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return task.Errorf(task.FailedPrecondition, "another daemon holds %s", path).
			WithHint("stop it first, or use a state folder of your own: DURABLE_HOME names one")
	case errors.Is(err, fs.ErrPermission), errors.Is(err, fs.ErrNotExist), isReadOnly(err), isNoSpace(err):
		return errAccess(path, err)
	}
	if te := (*task.Error)(nil); errors.As(err, &te) {
		return te
	}
	return task.Errorf(task.FailedPrecondition, "store %s cannot be read: %w; nothing was changed", path, err).
		WithHint("keep the file: move it away together with its marker, then restore a backup (durabled restore FILE)")
}
