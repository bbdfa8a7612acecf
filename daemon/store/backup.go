package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"durable/ipc/task"
)

// Suffixes of the files that a backup consists of until it is complete.
const (
	snapshotSuffix = ".snapshot"
	partialSuffix  = ".partial"
)

// Backup writes a consistent copy of the store to a new file while everything goes on. path must be
// absolute, and nothing may be there. Without withSecrets the copy has none, not even in unused pages:
// it is written anew, key by key, from a snapshot that takes as much space again for that time.
func (s *Store) Backup(ctx context.Context, path string, withSecrets bool) (task.BackupResult, error) {
	if err := checkTarget(path); err != nil {
		return task.BackupResult{}, err
	}
	snapshot, partial := path+snapshotSuffix, path+partialSuffix
	err := s.snapshot(ctx, snapshot)
	if err == nil {
		defer os.Remove(snapshot)
		e := edit{add: map[string]string{string(keyBackup): s.o.Now().UTC().Format(time.RFC3339)}}
		if !withSecrets {
			e.skip = rSecrets
		}
		err = rewrite(ctx, snapshot, partial, e)
		defer os.Remove(partial) // nothing is left of it when it was published
	}
	if err != nil {
		return task.BackupResult{}, errBackup(ctx, path, err)
	}
	result, err := describeBackup(partial)
	if err == nil {
		err = publish(partial, path)
	}
	if err != nil {
		return task.BackupResult{}, errBackup(ctx, path, err)
	}
	result.Path = path
	return result, nil
}

func checkTarget(path string) error {
	if !filepath.IsAbs(path) {
		return task.Errorf(task.InvalidArgument, "backup to %s: give an absolute path", path)
	}
	for _, p := range []string{path, path + snapshotSuffix, path + partialSuffix} {
		_, err := os.Lstat(p)
		if err == nil {
			return task.Errorf(task.FailedPrecondition, "backup: %s is there already", p).
				WithHint("name a new file, or move that one away")
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return errAccess(p, err)
		}
	}
	return nil
}

func errBackup(ctx context.Context, path string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if te := (*task.Error)(nil); errors.As(err, &te) {
		return te
	}
	return errAccess(path, fmt.Errorf("backup: %w", err))
}

// snapshot copies the file as one read transaction sees it. That transaction is short: bbolt cannot use
// pages again that it still reads.
func (s *Store) snapshot(ctx context.Context, path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = s.View(func(tx *Tx) error {
		_, err := tx.b.WriteTo(ctxWriter{ctx, f})
		return err
	})
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// ctxWriter ends a copy when ctx is done.
type ctxWriter struct {
	ctx context.Context
	w   io.Writer
}

func (w ctxWriter) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.w.Write(p)
}

// describeBackup reads back what was written.
func describeBackup(path string) (r task.BackupResult, err error) {
	if _, err := inspect(path, DefaultLockTimeout, true); err != nil {
		return r, err
	}
	fi, err := os.Stat(path)
	if err != nil {
		return r, err
	}
	r.Bytes = fi.Size()
	opts := boltOptions(DefaultLockTimeout)
	opts.ReadOnly = true
	db, err := bbolt.Open(path, 0o600, opts)
	if err != nil {
		return r, err
	}
	err = db.View(func(b *bbolt.Tx) error {
		var st state
		if err := readState(b, &st); err != nil {
			return err
		}
		for _, n := range st.Counts {
			r.Tasks += int(n)
		}
		return nil
	})
	return r, errors.Join(err, db.Close())
}
