package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"durable/daemon/logfile"
	"durable/ipc/task"
)

// Log implements task.Service.
func (e *Engine) Log(ctx context.Context, ref task.Ref, q task.LogQuery) (task.Log, error) {
	e.claiming.RLock() // an attempt that the record has is in e.running too, or has ended
	t, err := e.Get(ctx, ref)
	live := e.liveLog(t.ID, t.Attempt)
	e.claiming.RUnlock()
	streams := e.streams(t.Kind)
	if err == nil {
		err = checkLog(t, q, streams)
	}
	if err != nil {
		return task.Log{}, err
	}
	log := task.Log{Stream: q.Stream, Attempt: q.Attempt}
	if log.Attempt == 0 {
		log.Attempt = e.lastLogged(t)
	}
	if log.Stream == "" {
		log.Stream = e.mainStream(t.ID, log.Attempt, streams)
	}
	if log.Attempt != t.Attempt || t.Status != task.StatusRunning { // the end is committed before the slot is free
		live = nil
	}
	log.Ended = live == nil
	path := e.streamPath(t.ID, log.Attempt, log.Stream)
	if q.Follow && live != nil && !strings.HasSuffix(log.Stream, task.TimesSuffix) { // times are thinned: no place to go on from
		return e.follow(ctx, log, q, path, live)
	}
	f, err := openLog(path)
	if err != nil {
		return task.Log{}, err
	}
	if log.Offset, log.Size, err = locate(f, q); err != nil {
		closeLog(f)
		return task.Log{}, err
	}
	if f == nil {
		log.Body = io.NopCloser(bytes.NewReader(nil)) // nothing was said
	} else {
		log.Body = f.Section(log.Offset, log.Size)
	}
	return log, nil
}

// checkLog refuses what t cannot have.
func checkLog(t task.Task, q task.LogQuery, streams []string) error {
	stream := strings.TrimSuffix(q.Stream, task.TimesSuffix)
	known := streams
	if known == nil {
		known = []string{task.StreamStdout, task.StreamStderr} // of a kind that is gone
	}
	switch {
	case q.Stream != "" && stream != task.StreamLog && !slices.Contains(known, stream):
		return task.Errorf(task.NotFound, "task %d has no stream %q", t.Number, q.Stream).
			WithHint("a job of kind %s writes %s", t.Kind, strings.Join(known, ", ")).WithDetail("streams", known)
	case q.Offset < 0 || q.Tail < 0 || q.Attempt < 0:
		return task.Errorf(task.InvalidArgument, "log: offset, tail and attempt cannot be negative")
	case t.Attempt == 0:
		return task.Errorf(task.NotFound, "task %d has no output: it is %s and has not started", t.Number, describe(t))
	case q.Attempt > t.Attempt:
		return task.Errorf(task.NotFound, "task %d has had %d attempts, not %d", t.Number, t.Attempt, q.Attempt)
	}
	return nil
}

// streams returns what an attempt of a kind writes, the main one first; nil for a kind that there is not (any more).
func (e *Engine) streams(kind string) []string {
	k := e.kinds.named(kind)
	if k == nil {
		return nil
	}
	if s := k.Describe().Streams; len(s) > 0 {
		return s
	}
	return []string{task.StreamLog}
}

// mainStream returns the stream that is meant where none is named. Of a kind that is gone it is the one that is there.
func (e *Engine) mainStream(id task.ID, attempt int, streams []string) string {
	if streams != nil {
		return streams[0]
	}
	if _, err := os.Stat(e.streamPath(id, attempt, task.StreamStdout)); err == nil {
		return task.StreamStdout
	}
	return task.StreamLog
}

// lastLogged returns the last attempt that wrote anything, or simply the last.
func (e *Engine) lastLogged(t task.Task) int {
	for n := t.Attempt; n > 1; n-- {
		if n == t.Attempt && t.Status == task.StatusRunning {
			return n
		}
		for _, stream := range []string{task.StreamLog, task.StreamStdout, task.StreamStderr} {
			if info, err := os.Stat(e.streamPath(t.ID, n, stream)); err == nil && info.Size() > 0 {
				return n
			}
		}
	}
	return min(t.Attempt, 1)
}

// liveLog returns the log of an attempt that is under way, or nil.
func (e *Engine) liveLog(id task.ID, attempt int) *logFile {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a := e.running[id]; a != nil && a.rec.Task.Attempt == attempt {
		return a.out
	}
	return nil
}

// openLog opens the log at path, nil if there is none.
func openLog(path string) (*logfile.File, error) {
	f, err := logfile.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, task.Errorf(task.Internal, "log: %w", err)
	}
	return f, nil
}

func closeLog(f *logfile.File) {
	if f != nil {
		_ = f.Close()
	}
}

// locate returns where q begins in f, and how long f is. f may be nil: an empty log.
func locate(f *logfile.File, q task.LogQuery) (offset, size int64, err error) {
	if f != nil {
		size, err = f.Size()
	}
	offset = q.Offset
	switch {
	case err != nil:
	case q.Tail > 0 && f != nil:
		offset, err = f.Tail(size, q.Tail)
	case offset > size:
		return 0, 0, task.Errorf(task.OutOfRange, "log: offset %d is beyond its end at %d", offset, size).WithDetail("size", size)
	case f != nil:
		offset, err = f.Skip(offset)
	}
	if err != nil {
		return 0, 0, task.Errorf(task.Internal, "log: %w", err)
	}
	return offset, max(size, offset), nil // the hole may have grown beyond what the size was
}

// streamPath is where an attempt writes a stream.
func (e *Engine) streamPath(id task.ID, attempt int, stream string) string {
	return filepath.Join(filepath.Dir(e.logPath(id, attempt)), stream)
}
