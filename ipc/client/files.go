package client

import (
	"context"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"time"

	"durable/ipc/task"
)

// Log opens an attempt's output. Its Body goes on from where it is when the connection breaks; ctx
// governs it as long as it is open.
func (c *Client) Log(ctx context.Context, ref task.Ref, q task.LogQuery) (task.Log, error) {
	ref, err := c.pin(ctx, ref)
	if err != nil {
		return task.Log{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	b := &logBody{c: c, ctx: ctx, cancel: cancel, ref: ref, q: q}
	log, err := b.open(c.opts.DialRetry, false)
	if err != nil {
		cancel(err)
		return task.Log{}, err
	}
	// From here on the place is fixed: "the last attempt" may soon be another one.
	b.q.Stream, b.q.Attempt, b.q.Offset, b.q.Tail = log.Stream, log.Attempt, log.Offset, 0
	log.Body = b
	return log, nil
}

// logBody reads a log over as many connections as it takes.
type logBody struct {
	c      *Client
	ctx    context.Context
	cancel context.CancelCauseFunc
	ref    task.Ref
	q      task.LogQuery // Offset moves along
	body   io.ReadCloser
	err    error // sticks
}

func (b *logBody) open(patience time.Duration, passive bool) (task.Log, error) {
	req := b.c.newRequest(http.MethodGet, taskPath(b.ref, "log"))
	req.query = logValues(b.q)
	req.passive, req.patience = passive, patience
	var log task.Log
	err := b.c.retry(b.ctx, req, func() error {
		resp, err := b.c.send(b.ctx, req)
		if err != nil {
			return err
		}
		if log, err = logHeader(resp.Header); err != nil {
			resp.Body.Close()
			return err
		}
		b.body = resp.Body
		return nil
	})
	return log, err
}

func logValues(q task.LogQuery) map[string][]string {
	v := values("stream", q.Stream)
	number := func(name string, n int64) {
		if n != 0 {
			v.Set(name, strconv.FormatInt(n, 10))
		}
	}
	number("attempt", int64(q.Attempt))
	number("offset", q.Offset)
	number("tail", int64(q.Tail))
	if q.Follow {
		v.Set("follow", "true")
	}
	return v
}

func logHeader(h http.Header) (task.Log, error) {
	log := task.Log{Stream: h.Get(task.HeaderLogStream), Ended: h.Get(task.HeaderLogEnded) == "true"}
	var err error
	number := func(name string) int64 {
		n, e := strconv.ParseInt(h.Get(name), 10, 64)
		if e != nil {
			err = task.Errorf(task.Internal, "the daemon's answer: header %s: %q", name, h.Get(name))
		}
		return n
	}
	log.Attempt = int(number(task.HeaderLogAttempt))
	log.Offset = number(task.HeaderLogOffset)
	log.Size = number(task.HeaderLogSize)
	return log, err
}

// Read is for one goroutine at a time.
func (b *logBody) Read(p []byte) (int, error) {
	for b.err == nil {
		n, err := b.body.Read(p)
		b.q.Offset += int64(n)
		if n > 0 || len(p) == 0 {
			return n, nil // an error comes again with the next Read
		}
		b.err = b.recover(err)
	}
	return 0, b.err
}

// recover returns nil when there is more to read, and otherwise how it ended.
func (b *logBody) recover(err error) error {
	switch {
	case err == nil, err == io.EOF:
		return err
	case b.ctx.Err() != nil:
		return given(b.ctx)
	}
	b.body.Close()
	if !sleep(b.ctx, firstDelay) {
		return given(b.ctx)
	}
	log, err := b.open(b.c.opts.Reconnect, true)
	switch {
	case err != nil:
		return err
	case log.Offset > b.q.Offset: // what came next was dropped: a hole begins here, and there this body ends
		b.body.Close()
		return io.EOF
	case log.Offset < b.q.Offset:
		b.body.Close()
		return task.Errorf(task.OutOfRange, "log: the daemon goes on at byte %d instead of %d", log.Offset, b.q.Offset)
	}
	return nil
}

// Close ends the reading, also one that waits.
func (b *logBody) Close() error {
	b.cancel(errClosed)
	return nil
}

// Artifacts lists what a task left.
func (c *Client) Artifacts(ctx context.Context, ref task.Ref) ([]task.Artifact, error) {
	ref, err := c.pin(ctx, ref)
	if err != nil {
		return nil, err
	}
	list, err := get[struct{ Artifacts []task.Artifact }](ctx, c, taskPath(ref, "artifacts"))
	return list.Artifacts, err
}

// OpenArtifact opens one artifact; the caller closes it.
func (c *Client) OpenArtifact(ctx context.Context, ref task.Ref, name string) (task.Artifact, io.ReadCloser, error) {
	if !fs.ValidPath(name) || name == "." {
		return task.Artifact{}, nil, task.Errorf(task.InvalidArgument, "artifact %.80q: not the name of one", name)
	}
	ref, err := c.pin(ctx, ref)
	if err != nil {
		return task.Artifact{}, nil, err
	}
	a := task.Artifact{Name: name}
	var body io.ReadCloser
	req := c.newRequest(http.MethodGet, taskPath(ref, "artifacts/"+name))
	err = c.retry(ctx, req, func() error {
		resp, err := c.send(ctx, req)
		if err != nil {
			return err
		}
		a.Size = resp.ContentLength
		a.ModTime, _ = time.Parse(time.RFC3339Nano, resp.Header.Get(task.HeaderArtifactModified))
		body = resp.Body
		return nil
	})
	return a, body, err
}

// Stdin writes to a command's input. It is not repeated: its Data can be read once. The offset makes it
// safe for the caller to do so.
func (c *Client) Stdin(ctx context.Context, ref task.Ref, req task.StdinRequest) (task.StdinState, error) {
	ref, err := c.pin(ctx, ref)
	if err != nil {
		return task.StdinState{}, err
	}
	data := req.Data
	if data == nil {
		data = http.NoBody
	}
	r := c.newRequest(http.MethodPost, taskPath(ref, "stdin"))
	r.raw = data
	r.query = values("offset", strconv.FormatInt(req.Offset, 10))
	if req.Close {
		r.query.Set("close", "true")
	}
	return call[task.StdinState](ctx, c, r)
}
