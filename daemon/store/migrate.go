package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"go.etcd.io/bbolt"

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

// migrate replaces the store's file, which has schema have, by what the last of steps leads to. The old one stays beside it, which
// is the way back for an older program.
func (s *Store) migrate(have int, steps []migration) error {
	newest, err := s.upgrade(s.path(), have, steps)
	if err != nil || newest == s.path() {
		return err
	}
	bak := migrationCopy(s.path(), have)
	if err := keepAs(s.path(), bak); err != nil {
		return errors.Join(errAccess(bak, err), os.Remove(newest))
	}
	if err := publish(newest, s.path()); err != nil {
		return errAccess(s.path(), err)
	}
	s.o.Logger.Info("store migrated", "path", s.path(), "from", have, "to", steps[len(steps)-1].from+1, "before", bak)
	return nil
}

// upgrade returns the name of a file that is path's, of schema have, after all steps that lead on from there: path itself if there
// are none. path stays as it is.
func (s *Store) upgrade(path string, have int, steps []migration) (newest string, err error) {
	newest = path
	i := slices.IndexFunc(steps, func(m migration) bool { return m.from == have })
	for ; i >= 0 && i < len(steps); i++ {
		m, to := steps[i], fmt.Sprintf("%s.schema%d%s", s.path(), steps[i].from+1, tmpSuffix)
		err := contain(func() error { return m.apply(newest, to) })
		if newest != path {
			err = errors.Join(err, os.Remove(newest))
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
	return errors.Join(db.Update(fn), db.Close())
}

// keepAs gives a file that is about to be replaced another name as well; where the file system has no such thing, a copy.
func keepAs(path, name string) error {
	if err := removeIfThere(name); err != nil {
		return err
	}
	if os.Link(path, name) == nil {
		return nil // publish syncs the folder
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
