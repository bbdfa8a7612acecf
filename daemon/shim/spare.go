package shim

import (
	"os"
	"path/filepath"
	"sync"
	"time"

	"durable/daemon/shim/protocol"
)

const (
	// spareAfter is how long after a start its successor is made: the start's own commit, and whoever waits for it, come first.
	spareAfter = 2 * time.Millisecond
	// spareIdle is how long a spare waits for a start. A daemon that starts nothing keeps nothing.
	spareIdle = time.Minute
)

// Spare keeps ready what the next start needs, from shortly after a start on: a folder with the files that a holder opens, and, for a minute,
// a holder. A holder that waits has no folder, so it has done nothing, and leaves when this process does. The zero value has no folder.
type Spare struct {
	// Dir is where the folder is made; on the disk of the attempts' folders, and nobody else's.
	Dir string

	mu     sync.Mutex
	h      *held       // nil: none waits
	file   os.FileInfo // of its executable, from before it was started
	timer  *time.Timer // to make one, or to end the one that waits
	filler bool        // it is to make one
	folder bool        // Dir is furnished
	closed bool
}

// take furnishes dir, if it is empty and there is a folder to put in its place, and returns the holder that waits, if it is what path would
// start now; else nil. What is still being made is not waited for.
func (s *Spare) take(path, dir string) (h *held, furnished bool) {
	if s == nil || !s.mu.TryLock() {
		return nil, false
	}
	defer s.mu.Unlock()
	if s.folder {
		s.folder = false
		furnished = replaceFolder(s.Dir, dir) == nil
	}
	if h = s.h; h == nil {
		return nil, furnished
	}
	if !sameFile(s.file, path) || h.child.gone() {
		s.dismiss()
		return nil, furnished
	}
	s.h = nil
	s.timer.Stop()
	return h, furnished
}

// sameFile reports whether path is the file that it was: an upgrade puts another in its place.
func sameFile(was os.FileInfo, path string) bool {
	is, err := os.Stat(path)
	return err == nil && os.SameFile(was, is) && is.Size() == was.Size() && is.ModTime().Equal(was.ModTime())
}

// renew makes a spare soon, unless there is one. hook is called when it is there.
func (s *Spare) renew(path string, hook func(string)) {
	if s == nil || !spares {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.filler || s.h != nil {
		return
	}
	s.filler = true
	s.timer = time.AfterFunc(spareAfter, func() {
		if s.fill(path) {
			hook(PointSpare)
		}
	})
}

func (s *Spare) fill(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.filler = false
	if s.closed {
		return false
	}
	if s.Dir != "" && !s.folder {
		_ = os.RemoveAll(s.Dir) // of an earlier daemon
		if s.folder = os.Mkdir(s.Dir, 0o700) == nil; s.folder {
			protocol.Furnish(s.Dir)
		}
	}
	file, err := os.Stat(path) // before it is run: of two builds the older is compared
	if err != nil {
		return false
	}
	h, err := spawn(path, protocol.ArgSpare)
	if err != nil {
		return false // the next start says why
	}
	h.spare = true
	s.h, s.file = h, file
	s.timer = time.AfterFunc(spareIdle, func() { s.idle(h) })
	return true
}

// idle ends a spare that nobody has wanted.
func (s *Spare) idle(h *held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.h == h {
		s.dismiss()
	}
}

// dismiss ends the one that waits.
func (s *Spare) dismiss() {
	s.timer.Stop()
	s.h.abandon()
	s.h = nil
}

// Close ends the one that waits, and makes no more.
func (s *Spare) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.h != nil {
		s.dismiss()
	}
	if s.filler {
		s.timer.Stop()
	}
	if s.folder {
		_ = os.RemoveAll(s.Dir) // else the next daemon does it
	}
}

// hand gives a spare its folder, and reports whether it could: it names files from the root.
func (h *held) hand(dir string) bool {
	if !filepath.IsAbs(dir) {
		return false
	}
	_, err := h.in.WriteString(dir + "\x00") // the pipe has room
	return err == nil
}
