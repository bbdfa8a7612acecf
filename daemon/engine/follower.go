package engine

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"

	"durable/daemon/logfile"
	"durable/ipc/task"
)

// follow opens a stream that still grows.
func (e *Engine) follow(ctx context.Context, log task.Log, q task.LogQuery, path string, live *logFile) (task.Log, error) {
	r := &follower{ctx: ctx, path: path, log: live, closed: make(chan struct{}), stop: func() {}}
	if log.Stream != task.StreamLog { // the program writes it: only the file system can tell of that
		dir := filepath.Dir(path)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return task.Log{}, task.Errorf(task.Internal, "log: %w", err)
		}
		r.changed, r.stop = e.watcher.Watch(dir)
	}
	var err error
	if r.f, err = openLog(path); err == nil {
		log.Offset, log.Size, err = locate(r.f, q)
	}
	if err != nil {
		_ = r.Close()
		return task.Log{}, err
	}
	r.offset = log.Offset
	log.Body = r
	return log, nil
}

// errLeft ends the following of an attempt that outlives this daemon.
var errLeft = task.Errorf(task.Unavailable, "log: the daemon leaves, the task goes on")

// follower reads a stream until its attempt has ended, the hole begins, ctx is done or it is closed.
type follower struct {
	ctx     context.Context
	path    string
	log     *logFile        // tells of the attempt's end, and of what is written if it is the stream itself
	changed <-chan struct{} // else this does
	stop    func()
	offset  int64
	once    sync.Once
	closed  chan struct{}

	mu sync.Mutex
	f  *logfile.File // nil until there is a file, and after Close
}

// file returns the open file, nil if there is none yet.
func (r *follower) file() *logfile.File {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.closed:
	default:
		if r.f == nil {
			r.f, _ = openLog(r.path)
		}
	}
	return r.f
}

func (r *follower) Read(b []byte) (int, error) {
	for {
		grown, ended, left := r.log.news() // before the read: what is written after it wakes us
		if f := r.file(); f != nil {
			n, err := f.ReadAt(b, r.offset)
			r.offset += int64(n)
			switch {
			case n > 0:
				return n, nil
			case errors.Is(err, logfile.ErrDropped):
				return 0, io.EOF
			case err != nil && !errors.Is(err, io.EOF):
				return 0, err
			}
		}
		switch {
		case left:
			return 0, errLeft
		case ended:
			return 0, io.EOF
		}
		select {
		case <-grown:
		case <-r.changed:
		case <-r.closed:
			return 0, io.ErrClosedPipe
		case <-r.ctx.Done():
			return 0, r.ctx.Err()
		}
	}
}

// Close may be called from any goroutine, and again; it ends a Read that waits.
func (r *follower) Close() (err error) {
	r.once.Do(func() {
		r.stop()
		r.mu.Lock()
		defer r.mu.Unlock()
		close(r.closed)
		if r.f != nil {
			err = r.f.Close()
			r.f = nil
		}
	})
	return err
}
