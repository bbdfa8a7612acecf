package engine

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// MaxLog is the largest log of one attempt of a job of this process, in bytes. What comes after is
// dropped, and the log's last line says so.
const MaxLog = 64 << 20

// logFile is the log of a running attempt. The file is made at the first write: most short tasks say
// nothing. Writing never fails the job: a full disk costs lines, not the work.
type logFile struct {
	path string

	mu     sync.Mutex
	f      *os.File
	size   int64
	broken bool          // nothing more is written: too large, or the disk is full
	grown  chan struct{} // closed and replaced at each write; closed for good at the end
	ended  bool
	left   bool // ended for us, but the attempt goes on without this daemon
}

func newLogFile(path string) *logFile {
	return &logFile{path: path, grown: make(chan struct{})}
}

// Write implements io.Writer. It always reports success.
func (l *logFile) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended || l.broken || len(b) == 0 {
		return len(b), nil
	}
	if l.size+int64(len(b)) > MaxLog {
		l.broken = true
		b = fmt.Appendf(nil, "log cut off here: it has reached %d bytes\n", int64(MaxLog))
		_ = l.write(b)
	} else if err := l.write(b); err != nil {
		l.broken = true
	}
	close(l.grown)
	l.grown = make(chan struct{})
	return len(b), nil
}

func (l *logFile) write(b []byte) error {
	if l.f == nil {
		if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
			return err
		}
		f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		l.f = f
	}
	n, err := l.f.Write(b)
	l.size += int64(n)
	return err
}

// news returns a channel that is closed when there is more to read, and whether nothing more will come.
func (l *logFile) news() (<-chan struct{}, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.grown, l.ended
}

// leave closes the log of an attempt that goes on: its followers hear that it is the daemon that ends.
func (l *logFile) leave() {
	l.mu.Lock()
	l.left = true
	l.mu.Unlock()
	l.close()
}

// last is what a follower gets after all that was written.
func (l *logFile) last() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left {
		return errLeaving()
	}
	return io.EOF
}

func (l *logFile) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	l.ended = true
	close(l.grown)
	if l.f != nil {
		_ = l.f.Close()
	}
}
