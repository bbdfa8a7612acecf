package shim

import (
	"cmp"
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
	// spareSent is how long one that was sent to an attempt's folder waits for that start. It may never come: the commit has failed, a cancel
	// was first. As long as it waits there, it is nobody else's.
	spareSent = time.Second
)

// Spare keeps ready what the next start needs, from shortly after a start on: a folder with the files that a holder opens, and, for a minute,
// a holder. A holder that waits has no spec, so it has done nothing, and leaves when this process does. The zero value has no folder.
type Spare struct {
	// Dir is where the folder is made; on the disk of the attempts' folders, and nobody else's.
	Dir string

	sentFor time.Duration // instead of spareSent; 0: not

	mu     sync.Mutex
	h      *held          // nil: none waits
	file   os.FileInfo    // of its executable, from before it was started
	timer  *time.Timer    // to make one, or to end the one that waits
	filler bool           // it is to make one
	making sync.WaitGroup // by the filler
	folder bool           // Dir is furnished
	sent   string         // the folder that h waits in; empty: it has none
	closed bool
}

// furnish makes dir, out of the folder that is ready if it can be, and sends the holder that waits there, if it is what path would start now.
// What is still being made is not waited for.
func (s *Spare) furnish(path, dir string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.furnishLocked(path, dir)
}

func (s *Spare) furnishLocked(path, dir string) (furnished bool) {
	if s.folder {
		s.folder = false
		furnished = replaceFolder(s.Dir, dir) == nil
	}
	if !furnished {
		_ = os.Mkdir(dir, 0o700) // it may be there
	}
	switch {
	case s.h == nil || s.sent != "":
	case !sameFile(s.file, path) || s.h.child.gone() || !s.h.hand(dir):
		s.dismiss()
	default:
		s.sent = dir
		s.timer.Reset(cmp.Or(s.sentFor, spareSent))
	}
	return furnished
}

// take returns the holder that waits in dir, sent there now if none was before; nil: there is none. It reports whether dir is furnished.
func (s *Spare) take(path, dir string) (h *held, furnished bool) {
	if s == nil {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sent == "" {
		furnished = s.furnishLocked(path, dir)
	}
	if s.h == nil || s.sent != dir {
		return nil, furnished
	}
	if !sameFile(s.file, path) || s.h.child.gone() {
		s.dismiss()
		return nil, furnished
	}
	h = s.h
	s.h, s.sent = nil, ""
	s.timer.Stop()
	return h, true // and where that was not to be had, the holder does it
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
	s.making.Add(1)
	s.timer = time.AfterFunc(spareAfter, func() {
		if s.fill(path) {
			hook(PointSpare)
		}
	})
}

// fill makes what is not there. Nobody else does meanwhile.
func (s *Spare) fill(path string) bool {
	defer s.making.Done()
	file, err := os.Stat(path) // before it is run: of two builds the older is compared
	var h *held
	if err == nil {
		h, err = spawn(path, protocol.ArgSpare) // where that fails, the next start says why
	}
	s.mu.Lock()
	folder := s.folder
	s.mu.Unlock()
	made := !folder && s.makeFolder() // while the process comes up
	s.mu.Lock()
	defer s.mu.Unlock()
	s.filler, s.folder = false, s.folder || made
	if err != nil {
		return false
	}
	h.spare = true
	s.h, s.file = h, file
	s.timer = time.AfterFunc(spareIdle, func() { s.idle(h) })
	return true
}

func (s *Spare) makeFolder() bool {
	if s.Dir == "" {
		return false
	}
	_ = os.RemoveAll(s.Dir) // of an earlier daemon
	if os.Mkdir(s.Dir, 0o700) != nil {
		return false
	}
	protocol.Furnish(s.Dir)
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
	s.h, s.sent = nil, ""
}

// Close ends the one that waits, and makes no more.
func (s *Spare) Close() {
	s.mu.Lock()
	s.closed = true
	if s.filler && s.timer.Stop() {
		s.making.Done()
	}
	s.mu.Unlock()
	s.making.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.h != nil {
		s.dismiss()
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
