package store

import (
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"durable/ipc/task"
)

// Checked is what a look at a whole store says of it.
type Checked struct {
	Schema int    `json:"schema"`
	Writer string `json:"writer"`
	Bytes  int64  `json:"bytes"`
	Tasks  int    `json:"tasks"`
}

// maxProblems bounds what is told: one bad page has thousands of them.
const maxProblems = 5

// Check looks at every page and every record of a store's file, or of a backup, and writes nothing. It is for a process of its
// own: a page that is worse than everything that is provided for can end the process. The error is a [task.FailedPrecondition]
// for a damaged file, and for one that a daemon holds.
func Check(path string, lock time.Duration) (Checked, error) {
	found, err := inspect(path, lock, true)
	if err != nil {
		return Checked{}, err
	}
	c := Checked{Schema: found.schema, Writer: found.writer}
	opts := boltOptions(lock)
	opts.ReadOnly = true
	opts.InitialMmapSize = 0
	var db *bbolt.DB
	err = contain(func() (err error) {
		db, err = bbolt.Open(path, 0o600, opts)
		return err
	})
	if err != nil {
		return c, explain(path, err)
	}
	err = contain(func() error { return db.View(func(b *bbolt.Tx) error { return c.pages(b) }) })
	if err := errors.Join(err, db.Close()); err != nil {
		return c, explain(path, err)
	}
	return c, nil
}

// pages is bbolt's own check: pages that nobody has, that two have, that are out of order.
func (c *Checked) pages(b *bbolt.Tx) error {
	c.Bytes = b.Size()
	var problems []error
	for err := range b.Check() { // to its end, or its goroutine stays
		if len(problems) < maxProblems {
			problems = append(problems, fmt.Errorf("%w: %w", errDamaged, err))
		}
	}
	if len(problems) > 0 {
		return errors.Join(problems...)
	}
	if c.Schema != schemaVersion { // one that the daemon has yet to migrate
		return nil
	}
	return c.records(b)
}

// records reads the checksum of every task.
func (c *Checked) records(b *bbolt.Tx) error {
	bad := 0
	tasks := (&Tx{b: b}).scan(rTasks)
	for k, v := tasks.First(); k != nil; k, v = tasks.Next() {
		if _, err := unseal(k, v); err != nil {
			bad++
		}
		c.Tasks++
	}
	if bad > 0 {
		return task.Errorf(task.FailedPrecondition, "%d of %d tasks have records that cannot be read", bad, c.Tasks).
			WithHint("the daemon sets them aside when it meets them, and goes on; a backup may still have them: durabled restore FILE")
	}
	return nil
}
