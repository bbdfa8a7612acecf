package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"

	"go.etcd.io/bbolt"

	"durable/ipc/task"
)

// inspect looks at the file before anything is opened for writing: bbolt ends the process when it
// meets a bad page while it looks for free ones, and a fault beyond the end of a truncated file is a
// SIGBUS. Here both become errors.
func (s *Store) inspect() error {
	opts := boltOptions(s.o.LockTimeout)
	opts.ReadOnly = true
	opts.InitialMmapSize = 0
	var db *bbolt.DB
	err := contain(func() (err error) {
		db, err = bbolt.Open(s.path(), 0o600, opts)
		return err
	})
	if err != nil {
		return s.explain(err)
	}
	err = contain(func() error {
		return db.View(func(b *bbolt.Tx) error { return s.inspectTx(b) })
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return s.explain(err)
	}
	return nil
}

func (s *Store) inspectTx(b *bbolt.Tx) error {
	fi, err := os.Stat(s.path())
	if err != nil {
		return err
	}
	if b.Size() > fi.Size() {
		return fmt.Errorf("%w: it is cut off at %d bytes, %d are missing", errDamaged, fi.Size(), b.Size()-fi.Size())
	}
	if err := s.inspectMeta(b); err != nil {
		return err
	}
	var st state
	if err := readState(b, &st); err != nil {
		return err
	}
	if st.Clean {
		return nil
	}
	return walkTree(b)
}

func (s *Store) inspectMeta(b *bbolt.Tx) error {
	meta := b.Bucket(bucketNames[bMeta])
	if meta == nil {
		return fmt.Errorf("%w: it is no store of durable", errDamaged)
	}
	text, err := readText(meta, keySchema)
	if err != nil {
		return err
	}
	schema, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("%w: schema %q", errDamaged, text)
	}
	if schema > schemaVersion {
		writer, _ := readText(meta, keyWriter)
		return task.Errorf(task.VersionSkew, "store %s has schema %d, written by durable %s; this is durable %s, which knows %d; nothing was changed",
			s.path(), schema, writer, task.Version(), schemaVersion).
			WithHint("install that version again")
	}
	id, err := readText(meta, keyStore)
	if err != nil {
		return err
	}
	marker, err := readMarker(s.o.Dir)
	switch {
	case err != nil:
		return err
	case marker == "":
		return writeMarker(s.o.Dir, id) // a crash came between the store and its marker
	case marker != id:
		return task.Errorf(task.FailedPrecondition, "store %s is not the one that belongs here: it is %s, the marker names %s; nothing was changed", s.path(), id, marker).
			WithHint("put the right file back; if this one is meant, remove %s", markerFile)
	}
	s.id = id
	return nil
}

// walkTree visits every page and every key of a store that was not closed in order.
func walkTree(b *bbolt.Tx) error {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	return b.ForEach(func(name []byte, bk *bbolt.Bucket) error {
		var prev []byte
		c := bk.Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			if prev != nil && bytes.Compare(prev, k) >= 0 {
				return fmt.Errorf("%w: keys of %s are out of order", errDamaged, name)
			}
			if len(v) > 0 {
				_ = v[len(v)-1]
			}
			prev = k
		}
		return nil
	})
}
