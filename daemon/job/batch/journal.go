package batch

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"durable/ipc/atomicfile"
	"durable/ipc/task"
)

// journal is the file in which the ends of batches become durable, in the order in which they come. Its methods may be called
// from any goroutine.
type journal struct {
	dir     string
	segment int
	f       *os.File

	mu      sync.Mutex
	changes int // of the segment
	size    int64
	synced  int64 // bytes that are durable
	syncing bool
	turn    *sync.Cond
	broken  error
}

func segmentName(n int) string { return fmt.Sprintf("journal-%d", n) }

// openJournal opens a segment, which may be there.
func openJournal(dir string, segment int) (*journal, error) {
	f, err := os.OpenFile(filepath.Join(dir, segmentName(segment)), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, recordError(err)
	}
	j := &journal{dir: dir, segment: segment, f: f}
	j.turn = sync.NewCond(&j.mu)
	return j, nil
}

// replay calls see for each whole line, and cuts off what follows the last of them.
func (j *journal) replay(see func(at, length int64, rec record) error) error {
	r := bufio.NewReaderSize(io.NewSectionReader(j.f, 0, 1<<62), 256<<10)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return recordError(err)
		}
		rec, whole := parse(line)
		if !whole || !bytes.HasSuffix(line, []byte("\n")) {
			break
		}
		if err := see(j.size, int64(len(line)), rec); err != nil {
			return err
		}
		j.size += int64(len(line))
	}
	return recordError(j.f.Truncate(j.size))
}

// append writes a line and returns where it is.
func (j *journal) append(line []byte) (at int64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken != nil {
		return 0, j.broken
	}
	n, err := j.f.WriteAt(line, j.size)
	if err != nil {
		j.broken = recordError(err)
		if n > 0 {
			_ = j.f.Truncate(j.size) // the next attempt does it otherwise
		}
		return 0, j.broken
	}
	at = j.size
	j.size += int64(n)
	return at, nil
}

// sync returns when everything that was appended before the call is durable. Callers share the syncs.
func (j *journal) sync() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	want, changes := j.size, j.changes
	for j.synced < want && j.changes == changes && j.broken == nil { // what is in a new segment is durable
		if j.syncing {
			j.turn.Wait()
			continue
		}
		j.syncing = true
		upTo := j.size
		j.mu.Unlock()
		err := datasync(j.f)
		j.mu.Lock()
		j.syncing = false
		if err != nil {
			j.broken = recordError(err)
		} else {
			j.synced = upTo
		}
		j.turn.Broadcast()
	}
	return j.broken
}

// durable returns how many bytes are.
func (j *journal) durable() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.synced
}

// rotate begins a new segment with content, which is durable then, and returns the old one. Nothing may be appended meanwhile.
func (j *journal) rotate(content []byte) (old *os.File, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.syncing {
		j.turn.Wait()
	}
	if j.broken != nil {
		return nil, j.broken
	}
	f, err := os.OpenFile(filepath.Join(j.dir, segmentName(j.segment+1)), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		if _, err = f.WriteAt(content, 0); err == nil {
			err = datasync(f)
		}
	}
	if err == nil {
		err = atomicfile.SyncDir(j.dir)
	}
	if err != nil {
		j.broken = recordError(err)
		return nil, j.broken
	}
	old, j.f = j.f, f
	j.segment++
	j.changes++
	j.size, j.synced = int64(len(content)), int64(len(content))
	j.turn.Broadcast()
	return old, nil
}

func (j *journal) read(at, length int64) ([]byte, error) {
	b := make([]byte, length)
	_, err := j.f.ReadAt(b, at)
	return b, recordError(err)
}

func (j *journal) close() error { return j.f.Close() }

// recordError says that what a batch came to could not be written down.
func recordError(err error) error {
	var known *task.Error
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case isFull(err):
		return task.Errorf(task.ResourceExhausted, "record the end of a batch: no space left on the disk").
			WithHint("free some space in the daemon's folder, then retry the task: it goes on where it stopped, and runs no recorded batch again")
	}
	return fmt.Errorf("record the end of a batch: %w", err)
}
