package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"durable/daemon/logfile"
)

// MaxLog is how much is kept of the log of one attempt of a job of this process, in bytes: a log that is larger loses
// its middle.
const MaxLog = 64 << 20

// logFile is the log of a running attempt. The file is made at the first write: most short tasks say
// nothing. Writing never fails the job: a full disk costs lines, not the work, and where they are missing the log
// says so as soon as it can.
type logFile struct {
	path  string
	limit int64

	mu      sync.Mutex
	f       *os.File
	keeper  *logfile.Keeper
	checked time.Time // when the keeper last looked
	fresh   int64     // bytes that it has not seen
	midLine bool      // what was written last did not end a line
	lost    int64     // bytes that could not be written, of which the log does not tell yet
	reason  error

	grown chan struct{} // closed and replaced at each write; closed for good at the end
	ended bool
	left  bool // ended for this process only: the attempt goes on without it
}

func newLogFile(path string) *logFile {
	return limitedLogFile(path, MaxLog)
}

func limitedLogFile(path string, limit int64) *logFile {
	return &logFile{path: path, limit: limit, keeper: logfile.NewKeeper(path, limit), grown: make(chan struct{})}
}

// Write implements io.Writer. It always reports success.
func (l *logFile) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended || len(b) == 0 {
		return len(b), nil
	}
	if l.lost == 0 || l.confess() {
		l.write(b)
	} else {
		l.lost += int64(len(b))
	}
	if now := time.Now(); now.Sub(l.checked) >= logfile.MarkInterval || l.fresh >= l.limit/8 {
		l.checked, l.fresh = now, 0
		if _, err := l.keeper.Check(now); errors.Is(err, logfile.ErrNoHoles) {
			l.write(fmt.Appendf(nil, "--- %v ---\n", err))
		}
	}
	close(l.grown)
	l.grown = make(chan struct{})
	return len(b), nil
}

// confess writes into the log what it lacks, and reports whether that worked.
func (l *logFile) confess() bool {
	lost := l.lost
	note := fmt.Appendf(nil, "--- %d bytes left out here: %v ---\n", lost, l.reason)
	if l.midLine {
		note = append([]byte{'\n'}, note...)
	}
	l.lost = 0
	if l.write(note); l.lost > 0 {
		l.lost = lost
		return false
	}
	return true
}

// write writes b and counts what is lost of it.
func (l *logFile) write(b []byte) {
	n, err := l.append(b)
	l.fresh += int64(n)
	if n > 0 {
		l.midLine = b[n-1] != '\n'
	}
	if err == nil {
		return
	}
	l.lost += int64(len(b) - n)
	var reason *fs.PathError
	if l.reason = err; errors.As(err, &reason) {
		l.reason = reason.Err
	}
}

func (l *logFile) append(b []byte) (int, error) {
	if l.f == nil {
		if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
			return 0, err
		}
		f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return 0, err
		}
		l.f = f
	}
	return l.f.Write(b)
}

// news returns a channel that is closed when there is more to read, and whether nothing more will come.
func (l *logFile) news() (grown <-chan struct{}, ended, left bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.grown, l.ended, l.left
}

// close ends the log. leave says that the attempt goes on without this process: who follows it has to ask the next one.
func (l *logFile) close(leave bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	if l.lost > 0 {
		l.confess()
	}
	l.ended, l.left = true, leave
	close(l.grown)
	if l.f != nil {
		_ = l.keeper.Finish(time.Now()) // it costs times or blocks, and there is nobody left to tell
		_ = l.f.Close()
	}
}
