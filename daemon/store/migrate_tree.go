package store

import (
	"bytes"
	"context"
	"fmt"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
)

// oneTree leads from schema 2 to 3: what was in ten buckets is in one, "tree", in regions that begin with a byte each.
// Idempotency keys that end with a UUIDv7 go between the tasks of its time, where pages are left some room for them.
func oneTree(from, to string) error {
	regions := []struct {
		byte   byte
		bucket string
		index  string // first byte of the keys in the old bucket, which goes
	}{
		{1, "events", ""}, {2, "params", ""}, {3, "checkpoints", ""}, {4, "secrets", ""}, {6, "keys_expiring", ""},
		{7, "indexes", "k"}, {8, "indexes", "r"}, {9, "indexes", "e"}, {10, "indexes", "d"}, {11, "indexes", "c"}, {12, "indexes", "a"},
		{13, "tasks", ""}, {14, "indexes", "q"}, {15, "quarantine", ""},
	}
	tree := []byte("tree")
	return copyAnew(context.Background(), from, to, func(in *bbolt.Tx, c *copier) error {
		meta := []byte("meta")
		if _, err := c.tx.CreateBucket(tree); err != nil {
			return err
		}
		for _, name := range []string{"meta", "tasks", "params", "indexes", "checkpoints", "secrets", "keys", "keys_expiring", "events", "quarantine"} {
			if in.Bucket([]byte(name)) == nil {
				return fmt.Errorf("%w: it has no bucket %s", errDamaged, name)
			}
		}
		err := in.Bucket(meta).ForEach(func(k, v []byte) error { return c.put(meta, k, v) })
		for _, r := range regions {
			if err != nil {
				return err
			}
			c.fill = 0.9
			if r.bucket == "tasks" {
				c.fill = 0.7
			}
			prefix := []byte(r.index)
			cur := in.Bucket([]byte(r.bucket)).Cursor()
			for k, v := cur.Seek(prefix); err == nil && k != nil && bytes.HasPrefix(k, prefix); k, v = cur.Next() {
				err = c.put(tree, append([]byte{r.byte}, k[len(prefix):]...), v)
			}
		}
		if err != nil {
			return err
		}
		c.fill = 0.9
		return in.Bucket([]byte("keys")).ForEach(func(k, v []byte) error { return c.put(tree, placeInTree(k), v) })
	})
}

// placeInTree is where schema 3 has an idempotency key.
func placeInTree(name []byte) []byte {
	const text = 36
	if n := len(name) - text; n > 0 {
		id, err := uuid.ParseBytes(name[n:])
		if err == nil && id.Version() == 7 && id.String() == string(name[n:]) {
			return append(append([]byte{13}, id[:]...), name[:n]...)
		}
	}
	return append([]byte{5}, name...)
}
