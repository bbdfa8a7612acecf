package store

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"go.etcd.io/bbolt"

	"durable/ipc/task"
)

// found is what a look at a store's file says.
type found struct {
	schema int
	id     string
	writer string
}

// inspect looks at a file before anything is opened for writing: bbolt ends the process when it meets a
// bad page while it looks for free ones, and a read beyond the end of a truncated file is a SIGBUS. Here
// both become errors. Every page is visited unless the store was closed in order; with thorough, always.
func inspect(path string, lock time.Duration, thorough bool) (f found, err error) {
	opts := boltOptions(lock)
	opts.ReadOnly = true
	opts.InitialMmapSize = 0
	var db *bbolt.DB
	err = contain(func() (err error) {
		db, err = bbolt.Open(path, 0o600, opts)
		return err
	})
	if err != nil {
		return f, explain(path, err)
	}
	err = contain(func() error {
		return db.View(func(b *bbolt.Tx) error { return f.read(b, path, thorough) })
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return f, explain(path, err)
	}
	return f, nil
}

func (f *found) read(b *bbolt.Tx, path string, thorough bool) error {
	fi, err := os.Stat(path)
	if err != nil {
		return err
	}
	if b.Size() > fi.Size() {
		return fmt.Errorf("%w: it is cut off after %d bytes, %d are missing", errDamaged, fi.Size(), b.Size()-fi.Size())
	}
	meta := b.Bucket(bucketMeta)
	if meta == nil {
		return fmt.Errorf("%w: it is no store of durable", errDamaged)
	}
	if err := f.readMeta(meta, path); err != nil {
		return err
	}
	if f.schema == schemaVersion {
		if b.Bucket(bucketTree) == nil {
			return fmt.Errorf("%w: it has no bucket %s", errDamaged, bucketTree)
		}
	}
	var st state
	if err := readState(b, &st); err != nil {
		return err
	}
	if st.Clean && !thorough && f.schema == schemaVersion { // else a migration is about to read it whole, and better here
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	readAhead(file, b.Size())
	return walk(b, file)
}

func (f *found) readMeta(meta *bbolt.Bucket, path string) error {
	text, err := readText(meta, keySchema)
	if err != nil {
		return err
	}
	if f.schema, err = strconv.Atoi(text); err != nil || f.schema < 1 {
		return fmt.Errorf("%w: schema %q", errDamaged, text)
	}
	if f.writer, err = readText(meta, keyWriter); err != nil {
		return err
	}
	if f.schema > schemaVersion {
		return task.Errorf(task.VersionSkew, "store %s has schema %d, written by durable %s; this is durable %s, which knows %d; nothing was changed",
			path, f.schema, f.writer, task.Version(), schemaVersion).
			WithHint("install durable %s or later again; the way back to this version is the copy made before: %s", f.writer, wayBack(path, schemaVersion))
	}
	f.id, err = readText(meta, keyStore)
	return err
}

// readChunk is how much of a file is read at once.
const readChunk = 1 << 20

// readAhead reads a file that is not in memory from front to end. The walk goes through it in the order of keys, one page at a
// time, and bbolt has told the kernel not to guess what comes next: 13 s for a GB of a cold file, 2 s with this. What cannot
// be read is for the walk to find.
func readAhead(f *os.File, size int64) {
	if cached(f, size) {
		return
	}
	buf := make([]byte, readChunk)
	var err error
	for at := int64(0); at < size && err == nil; at += readChunk {
		_, err = f.ReadAt(buf, at)
	}
}
