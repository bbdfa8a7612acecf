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

	"durable/ipc/atomicfile"
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
		err = rewrite(ctx, snapshot, partial, backupEdit(withSecrets, s.o.Now()))
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

// edit says how a copy differs from its original.
type edit struct {
	// skip leaves a bucket empty.
	skip map[bucket]bool
	// meta returns the value for a key of the meta bucket, nil to drop it.
	meta func(key, value []byte) []byte
	// add are entries of the meta bucket that the original may not have.
	add map[string]string
}

func backupEdit(withSecrets bool, now time.Time) edit {
	return edit{
		skip: map[bucket]bool{bSecrets: !withSecrets},
		meta: func(_, value []byte) []byte { return value },
		add:  map[string]string{string(keyBackup): now.UTC().Format(time.RFC3339)},
	}
}

// rewriteChunk is how many bytes a rewrite puts into one transaction.
const rewriteChunk = 8 << 20

// rewrite copies a store that nobody uses, key by key, into a new file and syncs it.
func rewrite(ctx context.Context, from, to string, e edit) (err error) {
	opts := boltOptions(DefaultLockTimeout)
	opts.ReadOnly = true
	in, err := bbolt.Open(from, 0o600, opts)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	opts = boltOptions(DefaultLockTimeout)
	opts.NoSync, opts.NoFreelistSync, opts.NoGrowSync = true, false, true
	out, err := bbolt.Open(to, 0o600, opts)
	if err != nil {
		return err
	}
	c := &copier{ctx: ctx, out: out, edit: e}
	err = contain(func() error { return in.View(c.copy) })
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return atomicfile.SyncDir(filepath.Dir(to))
}

// copier puts what it is given in chunks.
type copier struct {
	ctx  context.Context
	out  *bbolt.DB
	edit edit
	tx   *bbolt.Tx
	size int
}

func (c *copier) copy(in *bbolt.Tx) error {
	err := c.renew()
	for n := range bucketCount {
		if err == nil {
			err = c.bucket(in, n)
		}
	}
	if err == nil {
		meta := c.tx.Bucket(bucketNames[bMeta])
		for key, text := range c.edit.add {
			err = errors.Join(err, meta.Put([]byte(key), sealText([]byte(key), text)))
		}
	}
	if err != nil {
		if c.tx != nil {
			err = errors.Join(err, c.tx.Rollback())
		}
		return err
	}
	return c.tx.Commit()
}

// renew commits what there is and begins the next transaction.
func (c *copier) renew() (err error) {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if c.tx != nil {
		tx := c.tx
		c.tx = nil
		if err := tx.Commit(); err != nil {
			return err
		}
	}
	c.size = 0
	c.tx, err = c.out.Begin(true)
	return err
}

func (c *copier) bucket(in *bbolt.Tx, n bucket) error {
	to, err := c.tx.CreateBucket(bucketNames[n])
	if err != nil {
		return err
	}
	from := in.Bucket(bucketNames[n])
	if from == nil || c.edit.skip[n] {
		return nil
	}
	to.FillPercent = fillPercent
	cur := from.Cursor()
	for k, v := cur.First(); k != nil; k, v = cur.Next() {
		if n == bMeta {
			if v = c.edit.meta(k, v); v == nil {
				continue
			}
		}
		if err := to.Put(k, v); err != nil {
			return err
		}
		if c.size += len(k) + len(v); c.size < rewriteChunk {
			continue
		}
		if err := c.renew(); err != nil {
			return err
		}
		to = c.tx.Bucket(bucketNames[n])
		to.FillPercent = fillPercent
	}
	return nil
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
