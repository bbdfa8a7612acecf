package store

import (
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"durable/ipc/task"
)

// reserveFile holds disk blocks back. When the disk is full it is removed, so that cancels and endings still
// fit: bbolt writes a handful of pages per commit, and once they exist, mostly into pages that it has freed
// before.
const reserveFile = "store.reserve"

// reopenEvery is how often a full store looks whether there is space again: no timer, only when new work
// asks to come in.
const reopenEvery = time.Second

func (s *Store) reservePath() string { return filepath.Join(s.o.Dir, reserveFile) }

// holdReserve makes the reserve unless it is there, and reports success. As much again must be free
// besides, or the store would be full again with the next commit.
func (s *Store) holdReserve() error {
	if fi, err := os.Stat(s.reservePath()); err == nil && fi.Size() == s.o.Reserve {
		return nil
	}
	f, err := os.OpenFile(s.reservePath(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(fillReserve(f, s.o.Reserve), f.Close())
	if err == nil {
		var free int64
		if free, err = freeSpace(s.o.Dir); err == nil && free < s.o.Reserve {
			err = errNoSpace
		}
	}
	if err != nil {
		_ = os.Remove(s.reservePath()) // half a reserve helps nobody
	}
	return err
}

var errNoSpace = errors.New("no space left for the reserve")

// fillReserve gives f blocks of its own. Where the file system cannot be told to, it is written to: with
// noise, which no file system compresses away.
func fillReserve(f *os.File, size int64) error {
	err := allocate(f, size)
	if errors.Is(err, errors.ErrUnsupported) {
		_, err = io.CopyN(f, rand.Reader, size)
	}
	if err != nil {
		return err
	}
	return f.Sync()
}

// makeRoom is told that the disk is full. It stops admission and lets the reserve go, and reports whether it is
// worth trying again with what is left of group.
func (s *Store) makeRoom(group []*request, cause error) bool {
	s.full.Store(true)
	s.lastTry = s.o.Now()
	released := os.Remove(s.reservePath()) == nil
	s.o.Logger.Warn("disk full: no new tasks are taken", "dir", s.o.Dir, "reserve_released", released, "err", cause)
	retry := false
	for _, r := range group {
		switch {
		case r.settled:
		case r.class == Admission || !released:
			r.err, r.settled = errFull(s.o.Dir, cause), true
		default:
			retry = true
		}
	}
	return retry
}

// reopenAdmission takes new work again if there is space, else it refuses that of group.
func (s *Store) reopenAdmission(group []*request) {
	err := error(errNoSpace)
	for _, r := range group {
		if r.class != Admission {
			continue
		}
		if now := s.o.Now(); now.Sub(s.lastTry).Abs() >= reopenEvery {
			s.lastTry = now
			if err = s.holdReserve(); err == nil {
				s.full.Store(false)
				s.o.Logger.Info("there is space again: new tasks are taken", "dir", s.o.Dir)
				return
			}
		}
		r.err, r.settled = errFull(s.o.Dir, err), true
	}
}

func errFull(dir string, cause error) error {
	return task.Errorf(task.ResourceExhausted, "the disk of %s is full: %w", dir, cause).
		WithHint("free some space; what runs goes on, and new tasks are taken again as soon as there is room")
}

// NoSpace reports whether err comes of a full disk.
func NoSpace(err error) bool { return isNoSpace(err) }

// isNoSpace reports whether a commit failed because the disk, or the user's part of it, is full. bbolt
// flattens some errors to text.
func isNoSpace(err error) bool {
	for _, full := range noSpaceErrors {
		if errors.Is(err, full) || err != nil && strings.Contains(err.Error(), full.Error()) {
			return true
		}
	}
	return false
}

// FreeSpace returns the bytes that may still be written to the file system of dir; 0 if it cannot be told.
func FreeSpace(dir string) int64 {
	free, err := freeSpace(dir)
	if err != nil {
		return 0
	}
	return free
}
