package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"durable/ipc/task"
)

// Events opens an event stream. One that follows outlives the daemon: it goes on from its last cursor.
// Its ctx governs the stream as long as it is open.
func (c *Client) Events(ctx context.Context, q task.EventQuery) (task.EventStream, error) {
	if q.Type != "" {
		return nil, task.Errorf(task.Unimplemented, "events of type %s alone: the daemon sends a client all of them", q.Type)
	}
	if q.Task != "" {
		ref, err := c.pin(ctx, q.Task)
		if err != nil {
			return nil, err
		}
		q.Task = ref
	}
	if q.Follow && q.After == "" {
		// "From now on" means another now after a reconnect: take the cursor of this one.
		list, err := c.List(ctx, task.ListQuery{Limit: 1})
		if err != nil {
			return nil, err
		}
		q.After = list.Cursor
	}
	ctx, cancel := context.WithCancelCause(ctx)
	s := &events{c: c, ctx: ctx, cancel: cancel, q: q, delays: newDelays()}
	if err := s.open(c.opts.DialRetry, false); err != nil {
		cancel(err)
		return nil, err
	}
	return s, nil
}

// events is a stream over as many connections as it takes.
type events struct {
	c      *Client
	ctx    context.Context
	cancel context.CancelCauseFunc
	delays *backoff.ExponentialBackOff

	// mu is held by Next throughout; Close only cancels, which ends what Next waits for.
	mu     sync.Mutex
	q      task.EventQuery // After moves along
	body   io.ReadCloser
	dec    *json.Decoder
	opened time.Time
	err    error // sticks
}

// errClosed is the cause of the end after Close.
var errClosed = errors.New("closed")

// line is one line of the stream: an event, or the error with which it broke off.
type line struct {
	task.Event
	Error *task.Error `json:"error"`
}

func (s *events) open(patience time.Duration, passive bool) error {
	follow := ""
	if s.q.Follow {
		follow = "true"
	}
	req := s.c.newRequest(http.MethodGet, "/v1/events")
	req.query = values("after", string(s.q.After), "task", string(s.q.Task), "follow", follow)
	req.passive, req.patience = passive, patience
	return s.c.retry(s.ctx, req, func() error {
		resp, err := s.c.send(s.ctx, req)
		if err != nil {
			return err
		}
		s.body, s.dec, s.opened = resp.Body, json.NewDecoder(resp.Body), time.Now()
		return nil
	})
}

// Next returns the next event. After an error it returns that error again.
func (s *events) Next() (task.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.err == nil {
		e, err := s.read()
		if err == nil {
			return e, nil
		}
		s.body.Close()
		s.err = s.recover(err)
	}
	return task.Event{}, s.err
}

func (s *events) read() (task.Event, error) {
	var l line
	if err := s.dec.Decode(&l); err != nil {
		if errors.Is(err, io.EOF) && !s.q.Follow {
			return task.Event{}, io.EOF
		}
		return task.Event{}, &lostError{err}
	}
	if l.Error != nil {
		return task.Event{}, l.Error
	}
	if l.Cursor != "" {
		s.q.After = l.Cursor
	}
	s.delays.Reset()
	return l.Event, nil
}

// recover returns nil when the stream goes on over another connection, and otherwise how it ended.
func (s *events) recover(err error) error {
	switch {
	case s.ctx.Err() != nil:
		return given(s.ctx)
	case !lost(err) && !errors.Is(err, task.Unavailable):
		return err
	}
	if time.Since(s.opened) > maxDelay {
		s.delays.Reset()
	}
	// A daemon that accepts and breaks off again and again must not be asked in a tight loop.
	if !sleep(s.ctx, s.delays.NextBackOff()) {
		return given(s.ctx)
	}
	return s.open(s.c.opts.Reconnect, true)
}

// Close ends the stream, and a Next that waits.
func (s *events) Close() error {
	s.cancel(errClosed)
	return nil
}
