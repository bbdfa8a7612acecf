package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"durable/ipc/socket"
	"durable/ipc/task"
)

// minAPI is the oldest [task.API] of a daemon that still works with this client.
const minAPI = 1

// dialError: nothing was sent.
type dialError struct {
	path string
	err  error
}

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

// lostError: the connection broke after the request, or a part of it, was sent.
type lostError struct{ err error }

func (e *lostError) Error() string { return "the connection to the daemon broke: " + e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

// absent reports whether err says that nobody listens.
func absent(err error) bool {
	var dial *dialError
	return errors.As(err, &dial) && socket.Absent(dial.err)
}

// lost reports whether err leaves open what became of the request.
func lost(err error) bool {
	var broke *lostError
	return errors.As(err, &broke)
}

// transportError sorts what RoundTrip, or the reading of a body, returned.
func transportError(err error) error {
	var (
		dial *dialError
		own  *task.Error
	)
	if errors.As(err, &dial) || errors.As(err, &own) {
		return err
	}
	return &lostError{err}
}

// final is the error that the caller gets. Every error of this package's methods passes through here
// or is a *task.Error already.
func (c *Client) final(ctx context.Context, req *request, err error) error {
	var own *task.Error
	switch {
	case ctx.Err() != nil:
		return given(ctx)
	case errors.As(err, &own):
		return own
	case absent(err):
		path, _ := c.Socket()
		e := task.Errorf(task.Unavailable, "the daemon is not running: nobody listens on %s", path)
		e.Err = err
		return e.WithHint("start it: durablectl restart, or durabled run")
	}
	e := task.Errorf(task.Unavailable, "%w", err).WithHint("durablectl status shows whether it is back")
	if req.method != http.MethodGet && lost(err) {
		e = e.WithDetail(task.DetailOutcome, "unknown").
			WithHint("it may or may not have been done: look with durablectl list, or ask again under the same idempotency key")
	}
	return e
}

// given is the error of a request whose caller gave up.
func given(ctx context.Context) error {
	return task.Errorf(task.Unavailable, "gave up waiting for the daemon: %w", context.Cause(ctx))
}

// check returns nil for a good answer, and otherwise the error in it.
func check(resp *http.Response) error {
	api, err := strconv.Atoi(resp.Header.Get(task.HeaderAPI))
	if err != nil {
		return task.Errorf(task.VersionSkew, "what listens on the socket is not durabled (it answered %s)", resp.Status).
			WithHint("set %s to the daemon's socket", socket.EnvSocket)
	}
	if api < minAPI {
		return task.Errorf(task.VersionSkew, "the daemon (%s) speaks API %d, this client %d to %d",
			resp.Header.Get(task.HeaderVersion), api, minAPI, task.API).
			WithHint("durablectl restart, so that the installed durabled takes over")
	}
	if resp.StatusCode/100 == 2 {
		return nil
	}
	var env task.Envelope
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
	if err != nil {
		return &lostError{err}
	}
	if json.Unmarshal(body, &env) != nil || env.Error == nil {
		return task.Errorf(task.Internal, "the daemon answered %s without saying why", resp.Status)
	}
	if _, ok := env.Error.Details[task.DetailRoute]; ok && env.Error.Code == task.NotFound {
		return task.Errorf(task.Unimplemented, "the daemon (%s) does not have %s", resp.Header.Get(task.HeaderVersion), resp.Request.URL.Path).
			WithHint("it is older than this client: durablectl restart, after an update")
	}
	return env.Error
}

// maxError bounds an error's body in bytes.
const maxError = 1 << 20
