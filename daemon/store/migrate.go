package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"

	"go.etcd.io/bbolt"

	"durable/ipc/atomicfile"
	"durable/ipc/task"
)

// migration leads from one schema to the next: run makes a new file and leaves the old one as it is. It must use nothing of this
// package that changes with the schema. What it leaves as it was gets the number of the schema from [migration.apply].
type migration struct {
	from int
	run  func(from, to string) error
}

// migrations are in order; a fixture and a test must be added with each.
var migrations = []migration{
	{1, inOneTx(leanIndexes)},
	{2, oneTree},
}

// migrationCopy is where the file is kept as it was with an older schema.
func migrationCopy(path string, schema int) string {
	return fmt.Sprintf("%s.schema%d.bak", path, schema)
}

// wayBack is the file that a program that knows schemas up to this one can go on with, of those that migrations of the store at path
// have kept: a migration may have led over several schemas at once.
func wayBack(path string, schema int) string {
	for n := schema; n > 0; n-- {
		if _, err := os.Stat(migrationCopy(path, n)); err == nil {
			return migrationCopy(path, n)
		}
	}
	return migrationCopy(path, schema)
}

// migrate replaces the store's file, which has schema have, by what the last of steps leads to. The old one stays beside it, which
// is the way back for an older program.
func (s *Store) migrate(have int, steps []migration) error {
	if !slices.ContainsFunc(steps, func(m migration) bool { return m.from == have }) {
		return nil
	}
	path, err := filepath.EvalSymlinks(s.path()) // one that leads to another disk goes on leading there
	if err != nil {
		return errAccess(s.path(), err)
	}
	newest, err := s.upgrade(path, path, have, steps)
	if err != nil {
		return err
	}
	bak := migrationCopy(path, have)
	if err := keepAs(path, bak); err != nil {
		return errors.Join(errAccess(bak, err), os.Remove(newest))
	}
	s.o.Hook(PointMigrateKept)
	if err := publish(newest, path); err != nil {
		return errors.Join(errAccess(path, err), removeIfThere(newest))
	}
	s.o.Hook(PointMigrateRenamed)
	debug.FreeOSMemory() // it took some; nobody else is going to want that much
	s.o.Logger.Info("store migrated", "path", path, "from", have, "to", steps[len(steps)-1].from+1, "before", bak)
	return nil
}

// upgrade returns the name of a file that is path's, of schema have, after all steps that lead on from there: path itself if there
// are none. path stays as it is; the new file lies beside another one.
func (s *Store) upgrade(path, beside string, have int, steps []migration) (newest string, err error) {
	newest = path
	i := slices.IndexFunc(steps, func(m migration) bool { return m.from == have })
	for ; i >= 0 && i < len(steps); i++ {
		m, to := steps[i], fmt.Sprintf("%s.schema%d%s", beside, steps[i].from+1, tmpSuffix)
		err := contain(func() error { return m.apply(newest, to) })
		if newest != path {
			_ = removeIfThere(newest) // it is in nobody's way
		}
		if isNoSpace(err) {
			return "", errors.Join(errAccess(to, err), removeIfThere(to))
		}
		if err != nil {
			_ = removeIfThere(to) // the first error is the one to tell
			return "", task.Errorf(task.FailedPrecondition, "store %s: migration from schema %d: %w; nothing was changed", path, m.from, err).
				WithHint("go on with the version before, which can read it, and report this")
		}
		newest = to
		s.o.Hook(PointMigrateStep)
	}
	return newest, nil
}

// apply runs the migration and writes the schema's number into the new file.
func (m migration) apply(from, to string) error {
	if err := m.run(from, to); err != nil {
		return err
	}
	return updateFile(to, func(b *bbolt.Tx) error {
		meta := b.Bucket(bucketMeta)
		return errors.Join(
			meta.Put(keySchema, sealText(keySchema, fmt.Sprint(m.from+1))),
			meta.Put(keyWriter, sealText(keyWriter, task.Version())),
		)
	})
}

// inOneTx is a migration that changes a copy in one transaction, all of which is in memory until its end.
func inOneTx(run func(*bbolt.Tx) error) func(from, to string) error {
	return func(from, to string) error {
		if err := copySynced(from, to); err != nil {
			return err
		}
		return updateFile(to, run)
	}
}

// updateFile changes a file that is no store yet. Its list of free pages is written: what was closed in order stays so.
func updateFile(path string, fn func(*bbolt.Tx) error) error {
	opts := boltOptions(DefaultLockTimeout)
	opts.NoFreelistSync = false
	db, err := bbolt.Open(path, 0o600, opts)
	if err != nil {
		return err
	}
	err = contain(func() error { return db.Update(fn) })
	return errors.Join(err, db.Close())
}

// keepAs gives a file that is about to be replaced another name as well, for good; where the file system has no such thing, a copy.
func keepAs(path, name string) error {
	if err := removeIfThere(name); err != nil {
		return err
	}
	if os.Link(path, name) == nil {
		return atomicfile.SyncDir(filepath.Dir(name))
	}
	return copySynced(path, name)
}

// copySynced copies a file so that the copy is there whole or not at all.
func copySynced(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to+tmpSuffix, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return errors.Join(err, os.Remove(to+tmpSuffix))
	}
	return publish(to+tmpSuffix, to)
}
