package logfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

const (
	// MarkInterval is the time between two marks of a log, and how long its keeper may be left alone while it grows
	// slowly.
	MarkInterval = 200 * time.Millisecond
	// MinLimit is the smallest limit of a log, in bytes; a smaller one is raised to it.
	MinLimit = 64 << 10

	maxHead  = 16 << 20
	block    = 4 << 10 // holes begin and end at multiples of it
	syncCuts = 10 * time.Second
)

// ErrNoHoles says that the file system cannot drop the middle of a file. The log goes on without a limit.
var ErrNoHoles = errors.New("this file system cannot drop the middle of a log: it grows without a limit")

// Keeper keeps the times and the size of one log. It is for one goroutine, and there is one of it for each log.
//
// Nothing that goes wrong for it harms the program or the log. The first error in writing marks and the first in
// cutting are returned, for whoever wants to tell of them; later ones are not.
type Keeper struct {
	path                   string
	limit, head, tail      int64
	loaded                 bool
	hole                   Hole  // as NAME.cut says
	punched                int64 // up to here there is nothing left of the hole
	noHoles                bool
	synced                 time.Time // when NAME.cut was last synced
	size                   int64     // at the last check
	marked                 int64     // the offset of the last mark
	markedAt               time.Time
	times                  int64 // where the next mark is written
	toldOfMarks, toldOfCut bool
	drop                   func(f *os.File, offset, length int64) error // punchHole, outside of tests
}

// NewKeeper returns the keeper of the log at path, which need not exist yet. A limit of 0 or less is none.
func NewKeeper(path string, limit int64) *Keeper {
	if limit > 0 {
		limit = max(limit, MinLimit)
	}
	head := min(limit/4, maxHead) / block * block
	return &Keeper{path: path, limit: limit, head: head, tail: limit - head, drop: punchHole}
}

// Check sees what was written since the last call: it puts a mark if the last one is [MarkInterval] old, and cuts the
// log if that has outgrown its limit. It is to be called soon after something was written: how soon decides how far
// a flood takes the log beyond its limit. now is the current time. Check costs one stat while nothing has changed.
//
// grew reports that the log has grown since the last call, or has bytes without a mark: another call is due in
// [MarkInterval], also if nothing more is written. False: nothing is due until something is.
func (k *Keeper) Check(now time.Time) (grew bool, err error) {
	size, err := k.look()
	if err != nil {
		return false, err
	}
	grew = size > k.size
	k.size = size
	var markErr error
	if size > k.marked && (k.markedAt.IsZero() || now.Sub(k.markedAt) >= MarkInterval || now.Before(k.markedAt)) {
		markErr = k.mark(now)
	}
	return grew || k.marked < size, errors.Join(once(&k.toldOfMarks, markErr), once(&k.toldOfCut, k.cut(now)))
}

// Finish is the last Check, when nothing more will be written: all there is gets its mark.
func (k *Keeper) Finish(now time.Time) error {
	k.markedAt = time.Time{}
	_, err := k.Check(now)
	return err
}

// once returns the first error that it is given.
func once(told *bool, err error) error {
	if err == nil || *told {
		return nil
	}
	*told = true
	return err
}

// look returns the log's size, and loads what an earlier keeper left.
func (k *Keeper) look() (int64, error) {
	info, err := os.Stat(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	size := info.Size()
	if !k.loaded {
		k.loaded = true
		k.hole, _ = ReadHole(k.path)
		k.times, k.marked = lastMark(k.path + TimesSuffix)
		k.size = min(k.marked, size)
	}
	if size < k.size || size < k.hole.To || size < k.marked {
		k.restart()
	}
	return size, nil
}

// restart forgets a log that the program has truncated.
func (k *Keeper) restart() {
	_ = os.Remove(k.path + CutSuffix)
	_ = os.Remove(k.path + TimesSuffix)
	k.hole, k.punched, k.size, k.marked, k.times = Hole{}, 0, 0, 0, 0
	k.markedAt = time.Time{}
}

// cut drops the middle if it has grown by a step. NAME.cut says so before it is done.
func (k *Keeper) cut(now time.Time) error {
	if k.limit <= 0 || k.noHoles {
		return nil
	}
	next := k.hole
	if next.Empty() {
		next = Hole{k.head, k.head}
	}
	to := (k.size - k.tail) / block * block
	switch {
	case to-next.To >= k.limit/4:
		next.To = to
		if err := k.writeHole(next, now); err != nil {
			return err
		}
	case k.punched >= k.hole.To:
		return nil
	}
	err := k.punch(Hole{max(next.From, k.punched), next.To})
	if errors.Is(err, errors.ErrUnsupported) {
		k.noHoles = true
		if k.hole.Empty() {
			_ = os.Remove(k.path + CutSuffix) // the bytes are all there
		}
		return ErrNoHoles
	}
	k.hole = next
	if err == nil {
		k.punched = next.To
	}
	return err
}

func (k *Keeper) punch(h Hole) error {
	f, err := os.OpenFile(k.path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return k.drop(f, h.From, h.To-h.From)
}

func (k *Keeper) writeHole(h Hole, now time.Time) error {
	sync := k.hole.Empty() || now.Sub(k.synced) >= syncCuts
	if err := replace(k.path+CutSuffix, h.append(nil), sync); err != nil {
		return err
	}
	if sync {
		k.synced = now
	}
	return nil
}

// replace puts a file with content b in the place of the one at path.
func replace(path string, b []byte, sync bool) error {
	tmp := path + tmpSuffix
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil && sync {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp)
	}
	return err
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
