package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"durable/ipc/task"
)

// Log implements task.Service.
func (e *Engine) Log(ctx context.Context, ref task.Ref, q task.LogQuery) (task.Log, error) {
	e.claiming.RLock() // an attempt that the record has is in e.running too, or has ended
	t, err := e.Get(ctx, ref)
	live := e.liveLog(t.ID, t.Attempt)
	e.claiming.RUnlock()
	if err == nil {
		err = checkLog(t, q)
	}
	if err != nil {
		return task.Log{}, err
	}
	log := task.Log{Stream: task.StreamLog, Attempt: q.Attempt}
	if log.Attempt == 0 {
		log.Attempt = e.lastLogged(t)
	}
	if log.Attempt != t.Attempt || t.Status != task.StatusRunning { // the end is committed before the slot is free
		live = nil
	}
	log.Ended = live == nil
	f, err := os.Open(e.logPath(t.ID, log.Attempt))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return task.Log{}, task.Errorf(task.Internal, "open log of task %d: %w", t.Number, err)
	}
	if log.Offset, log.Size, err = locate(f, q); err != nil {
		_ = f.Close()
		return task.Log{}, err
	}
	switch {
	case q.Follow && live != nil:
		log.Body = &follower{ctx: ctx, log: live, f: f, offset: log.Offset, closed: make(chan struct{})}
	case f == nil:
		log.Body = io.NopCloser(bytes.NewReader(nil)) // nothing was said
	default:
		log.Body = section{io.NewSectionReader(f, log.Offset, log.Size-log.Offset), f}
	}
	return log, nil
}

// checkLog refuses what t cannot have.
func checkLog(t task.Task, q task.LogQuery) error {
	switch {
	case q.Stream != "" && q.Stream != task.StreamLog:
		return task.Errorf(task.NotFound, "task %d has no stream %q: a job of kind %s writes %q only", t.Number, q.Stream, t.Kind, task.StreamLog)
	case q.Offset < 0 || q.Tail < 0 || q.Attempt < 0:
		return task.Errorf(task.InvalidArgument, "log: offset, tail and attempt cannot be negative")
	case t.Attempt == 0:
		return task.Errorf(task.NotFound, "task %d has no output: it is %s and has not started", t.Number, describe(t))
	case q.Attempt > t.Attempt:
		return task.Errorf(task.NotFound, "task %d has had %d attempts, not %d", t.Number, t.Attempt, q.Attempt)
	}
	return nil
}

// lastLogged returns the last attempt that wrote anything, or simply the last.
func (e *Engine) lastLogged(t task.Task) int {
	for n := t.Attempt; n > 1; n-- {
		if _, err := os.Stat(e.logPath(t.ID, n)); err == nil || n == t.Attempt && t.Status == task.StatusRunning {
			return n
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

// locate returns where q begins in f, and how long f is. f may be nil: an empty log.
func locate(f *os.File, q task.LogQuery) (offset, size int64, err error) {
	if f != nil {
		info, err := f.Stat()
		if err != nil {
			return 0, 0, task.Errorf(task.Internal, "log: %w", err)
		}
		size = info.Size()
	}
	switch {
	case q.Tail > 0 && f != nil:
		offset, err = tailOffset(f, size, q.Tail)
		return offset, size, err
	case q.Offset > size:
		return 0, 0, task.Errorf(task.OutOfRange, "log: offset %d is beyond its end at %d", q.Offset, size).WithDetail("size", size)
	}
	return q.Offset, size, nil
}

// tailOffset finds where the last lines begin, reading backwards.
func tailOffset(r io.ReaderAt, size int64, lines int) (int64, error) {
	const block = 64 << 10
	buf := make([]byte, block)
	end := size
	for seen := 0; end > 0; {
		begin := max(0, end-block)
		b := buf[:end-begin]
		if _, err := r.ReadAt(b, begin); err != nil && !errors.Is(err, io.EOF) {
			return 0, task.Errorf(task.Internal, "log: %w", err)
		}
		for i := len(b) - 1; i >= 0; i-- {
			if b[i] != '\n' || begin+int64(i) == size-1 {
				continue
			}
			if seen++; seen == lines {
				return begin + int64(i) + 1, nil
			}
		}
		end = begin
	}
	return 0, nil
}

// section is the part of a log that was there when it was opened.
type section struct {
	*io.SectionReader
	io.Closer
}

// follower reads a log that still grows, until its attempt has ended, ctx is done or it is closed.
type follower struct {
	ctx    context.Context
	log    *logFile
	offset int64
	once   sync.Once
	closed chan struct{}

	mu sync.Mutex
	f  *os.File // nil until there is a file, and after Close
}

// file returns the open file, nil if there is none yet.
func (r *follower) file() *os.File {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.closed:
	default:
		if r.f == nil {
			r.f, _ = os.Open(r.log.path)
		}
	}
	return r.f
}

func (r *follower) Read(b []byte) (int, error) {
	for {
		news, ended := r.log.news() // before the read: what is written after it wakes us
		if f := r.file(); f != nil {
			n, err := f.ReadAt(b, r.offset)
			r.offset += int64(n)
			if n > 0 {
				return n, nil
			}
			if err != nil && !errors.Is(err, io.EOF) {
				return 0, err
			}
		}
		if ended {
			return 0, r.log.last()
		}
		select {
		case <-news:
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

// Artifacts implements task.Service.
func (e *Engine) Artifacts(ctx context.Context, ref task.Ref) ([]task.Artifact, error) {
	t, err := e.Get(ctx, ref)
	if err != nil {
		return nil, err
	}
	list := []task.Artifact{}
	root := e.artifacts(t.ID)
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && !d.Type().IsRegular() {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		list = append(list, task.Artifact{Name: filepath.ToSlash(name), Size: info.Size(), ModTime: info.ModTime().UTC()})
		return err
	})
	if err != nil {
		return nil, task.Errorf(task.Internal, "artifacts of task %d: %w", t.Number, err)
	}
	return list, nil
}

// OpenArtifact implements task.Service. os.Root keeps names and links inside the folder.
func (e *Engine) OpenArtifact(ctx context.Context, ref task.Ref, name string) (task.Artifact, io.ReadCloser, error) {
	t, err := e.Get(ctx, ref)
	if err != nil {
		return task.Artifact{}, nil, err
	}
	missing := task.Errorf(task.NotFound, "task %d has no artifact %q", t.Number, name)
	root, err := os.OpenRoot(e.artifacts(t.ID))
	if err != nil {
		return task.Artifact{}, nil, missing
	}
	defer func() { _ = root.Close() }()
	path := filepath.FromSlash(name)
	if info, err := root.Stat(path); err != nil || !info.Mode().IsRegular() {
		return task.Artifact{}, nil, missing // not even opened: a named pipe would hold us until somebody writes
	}
	f, err := root.Open(path)
	if err != nil {
		return task.Artifact{}, nil, missing
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		_ = f.Close()
		return task.Artifact{}, nil, missing
	}
	return task.Artifact{Name: name, Size: info.Size(), ModTime: info.ModTime().UTC()}, f, nil
}

func (e *Engine) artifacts(id task.ID) string {
	return filepath.Join(e.cfg.TasksDir, string(id), artifactsFolder)
}
