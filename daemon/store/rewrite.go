package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"durable/ipc/atomicfile"
)

// edit says how a copy differs from its original.
type edit struct {
	// skip leaves a region out; 0: none.
	skip region
	// meta returns the value for a key of the meta bucket, nil to drop it; nil: all stay as they are.
	meta func(key, value []byte) []byte
	// add are entries of the meta bucket that the original may not have.
	add map[string]string
}

// rewrite copies a store that nobody uses, key by key, into a new file and syncs it.
func rewrite(ctx context.Context, from, to string, e edit) error {
	return copyAnew(ctx, from, to, func(in *bbolt.Tx, c *copier) error {
		if err := createBuckets(c.tx); err != nil {
			return err
		}
		err := in.Bucket(bucketMeta).ForEach(func(k, v []byte) error {
			if e.meta != nil {
				v = e.meta(k, v)
			}
			if v == nil {
				return nil
			}
			return c.put(bucketMeta, k, v)
		})
		for key, text := range e.add {
			err = errors.Join(err, c.put(bucketMeta, []byte(key), sealText([]byte(key), text)))
		}
		if err != nil {
			return err
		}
		return in.Bucket(bucketTree).ForEach(func(k, v []byte) error {
			if e.skip != 0 && region(k[0]) == e.skip {
				return nil
			}
			return c.put(bucketTree, k, v)
		})
	})
}

// copyAnew makes a new file of what copy puts, who reads from the file of a store that nobody uses.
func copyAnew(ctx context.Context, from, to string, copy func(in *bbolt.Tx, c *copier) error) error {
	opts := boltOptions(DefaultLockTimeout)
	opts.ReadOnly = true
	in, err := bbolt.Open(from, 0o600, opts)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := removeIfThere(to); err != nil {
		return err
	}
	opts = boltOptions(DefaultLockTimeout)
	opts.NoSync, opts.NoFreelistSync, opts.NoGrowSync = true, false, true
	out, err := bbolt.Open(to, 0o600, opts)
	if err != nil {
		return err
	}
	c := &copier{ctx: ctx, out: out, fill: fillPercent}
	err = contain(func() error { return in.View(func(b *bbolt.Tx) error { return c.copy(b, copy) }) })
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return atomicfile.SyncDir(filepath.Dir(to))
}

// rewriteChunk is how many bytes a copier puts into one transaction.
const rewriteChunk = 8 << 20

// copier puts what it is given in chunks: the pages of a transaction are in memory until its end.
type copier struct {
	ctx  context.Context
	out  *bbolt.DB
	tx   *bbolt.Tx
	size int
	fill float64 // of a page that is split
}

func (c *copier) copy(in *bbolt.Tx, copy func(*bbolt.Tx, *copier) error) error {
	if err := c.renew(); err != nil {
		return err
	}
	defer func() { // after a panic too: a file whose transaction is open cannot be closed
		if c.tx != nil {
			_ = c.tx.Rollback()
		}
	}()
	if err := copy(in, c); err != nil {
		return err
	}
	return c.commit()
}

func (c *copier) commit() error {
	tx := c.tx
	c.tx = nil
	return tx.Commit()
}

func (c *copier) put(bucket, key, value []byte) error {
	if c.size >= rewriteChunk {
		if err := c.renew(); err != nil {
			return err
		}
	}
	c.size += len(key) + len(value)
	b, err := c.tx.CreateBucketIfNotExists(bucket)
	if err != nil {
		return err
	}
	b.FillPercent = c.fill
	return b.Put(key, value)
}

// renew commits what there is and begins the next transaction.
func (c *copier) renew() (err error) {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if c.tx != nil {
		if err := c.commit(); err != nil {
			return err
		}
	}
	c.size = 0
	c.tx, err = c.out.Begin(true)
	return err
}
