package main

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"slices"

	"durable/ipc/task"
)

// write adds to a task's stream.
func (f *fake) write(n uint64, stream, text string) {
	f.update(func() {
		if f.logs[n] == nil {
			f.logs[n] = map[string][]byte{}
		}
		f.logs[n][stream] = append(f.logs[n][stream], text...)
	})
}

func (f *fake) Log(ctx context.Context, ref task.Ref, q task.LogQuery) (task.Log, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t, err := f.findLocked(ref)
	if err != nil {
		return task.Log{}, err
	}
	attempt := cmp.Or(q.Attempt, t.Attempt)
	streams, ok := f.logs[t.Number]
	if !ok || attempt > t.Attempt {
		return task.Log{}, task.Errorf(task.NotFound, "task %d has written nothing", t.Number)
	}
	if q.Stream == "" {
		q.Stream = task.StreamLog
		if _, command := streams[task.StreamStdout]; command {
			q.Stream = task.StreamStdout
		}
	}
	log := streams[q.Stream]
	body := &fakeLog{f: f, t: t, attempt: attempt, stream: q.Stream, follow: q.Follow, at: int(q.Offset)}
	if q.Tail > 0 {
		lines := slices.Collect(bytes.Lines(log))
		for _, line := range lines[:max(0, len(lines)-q.Tail)] {
			body.at += len(line)
		}
	}
	if hole := body.holeLocked(); body.at >= hole[0] && body.at < hole[1] {
		body.at = hole[1]
	}
	body.ctx, body.cancel = context.WithCancel(ctx)
	if q.Follow {
		f.looks++
		close(f.changed)
		f.changed = make(chan struct{})
	}
	return task.Log{Stream: q.Stream, Attempt: attempt, Offset: int64(body.at), Size: int64(len(log)), Ended: body.overLocked(), Body: body}, nil
}

// fakeLog is the log of one attempt; all attempts of a task write into the same bytes.
type fakeLog struct {
	f       *fake
	t       *task.Task
	ctx     context.Context
	cancel  func()
	stream  string
	at      int
	attempt int
	follow  bool
}

func (l *fakeLog) overLocked() bool {
	return l.t.Status != task.StatusRunning || l.t.Attempt != l.attempt
}

// holeLocked is the hole; only stdout has one.
func (l *fakeLog) holeLocked() (hole [2]int) {
	if l.stream == task.StreamStdout {
		hole = l.f.holes[l.t.Number]
	}
	return hole
}

// leftLocked is what can be read: up to a hole.
func (l *fakeLog) leftLocked() []byte {
	log := l.f.logs[l.t.Number][l.stream]
	if hole := l.holeLocked(); l.at <= hole[0] && hole[1] > 0 {
		log = log[:hole[0]]
	}
	return log[l.at:]
}

func (l *fakeLog) Read(p []byte) (int, error) {
	over := func() bool { return !l.follow || l.overLocked() || l.holeLocked()[0] == l.at && l.at > 0 }
	if err := l.f.until(l.ctx, func() bool { return len(l.leftLocked()) > 0 || over() }); err != nil {
		return 0, err
	}
	l.f.mu.Lock()
	defer l.f.mu.Unlock()
	n := copy(p, l.leftLocked())
	if l.at += n; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (l *fakeLog) Close() error {
	l.cancel()
	return nil
}
