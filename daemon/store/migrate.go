package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"

	"go.etcd.io/bbolt"

	"durable/ipc/task"
)

// migration leads from one schema to the next, in one transaction. It must use nothing of this package
// that changes with the schema.
type migration struct {
	from int
	run  func(*bbolt.Tx) error
}

// migrations are in order; a fixture and a test must be added with each.
var migrations = []migration{
	{1, leanIndexes},
}

// migrationCopy is where the file is kept as it was with an older schema.
func migrationCopy(path string, schema int) string {
	return fmt.Sprintf("%s.schema%d.bak", path, schema)
}

// migrate brings the store's file from schema have to what the last of steps leads to. A copy is made
// first, which is the way back for an older program.
func (s *Store) migrate(have int, steps []migration) error {
	if stepsFrom(have, steps) == nil {
		return nil
	}
	if err := copySynced(s.path(), migrationCopy(s.path(), have)); err != nil {
		return errAccess(migrationCopy(s.path(), have), err)
	}
	return s.upgrade(s.path(), have, steps)
}

func stepsFrom(have int, steps []migration) []migration {
	i := slices.IndexFunc(steps, func(m migration) bool { return m.from == have })
	if i < 0 {
		return nil
	}
	return steps[i:]
}

// upgrade runs the steps that lead on from schema have.
func (s *Store) upgrade(path string, have int, steps []migration) error {
	steps = stepsFrom(have, steps)
	if steps == nil {
		return nil
	}
	if err := s.openBolt(path); err != nil {
		return err
	}
	s.db.NoFreelistSync = false // else a file that says that it was closed in order would have no list of free pages
	for _, m := range steps {
		if err := contain(func() error { return s.db.Update(m.apply) }); err != nil {
			_ = s.db.Close() // the first error is the one to tell
			return task.Errorf(task.FailedPrecondition, "store %s: migration from schema %d: %w", path, m.from, err).
				WithHint("that step changed nothing; go on with the version before, whose file is %s, and report this", migrationCopy(path, have))
		}
		s.o.Logger.Info("store migrated", "path", path, "from", m.from, "to", m.from+1)
	}
	err := s.db.Close()
	debug.FreeOSMemory() // it took some; nobody else is going to want that much
	return err
}

func (m migration) apply(b *bbolt.Tx) error {
	if err := m.run(b); err != nil {
		return err
	}
	meta := b.Bucket(bucketNames[bMeta])
	return errors.Join(
		meta.Put(keySchema, sealText(keySchema, fmt.Sprint(m.from+1))),
		meta.Put(keyWriter, sealText(keyWriter, task.Version())),
	)
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
