package store

import (
	"fmt"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
)

// leanIndexes leads from schema 1 to 2: the indexes by number ('n') and by status ('s') go, and what is queued is no longer
// in the one by kind ('k'), but has its kind as its value in the queue ('q'). All that it takes is in the index itself. The bucket is
// made anew: to delete half of its keys would be dearer.
func leanIndexes(b *bbolt.Tx) error {
	name := []byte("indexes")
	idOf := func(k []byte) uuid.UUID { return uuid.UUID(k[len(k)-16:]) }
	old := b.Bucket(name)
	if old == nil {
		return fmt.Errorf("%w: it has no bucket %s", errDamaged, name)
	}
	c := old.Cursor()
	kinds := map[uuid.UUID][]byte{} // of what is queued
	for k, _ := c.Seek([]byte{'q'}); len(k) > 16 && k[0] == 'q'; k, _ = c.Next() {
		kinds[idOf(k)] = nil
	}
	var kept [][]byte // they stay readable: pages that this transaction frees are not written to by it
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		switch k[0] {
		case 'n', 's':
			continue
		case 'k':
			if _, ok := kinds[idOf(k)]; ok {
				kinds[idOf(k)] = k[1 : len(k)-16-2] // a zero and the status stand between
				continue
			}
		}
		kept = append(kept, k)
	}
	if err := b.DeleteBucket(name); err != nil {
		return err
	}
	lean, err := b.CreateBucket(name)
	if err != nil {
		return err
	}
	lean.FillPercent = 0.9
	for _, k := range kept {
		var value []byte
		if k[0] == 'q' {
			value = kinds[idOf(k)]
		}
		if err := lean.Put(k, value); err != nil {
			return err
		}
	}
	return nil
}
