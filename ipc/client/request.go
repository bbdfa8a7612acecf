package client

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"

	"durable/ipc/task"
)

// request is one call of the API, to be sent as often as it takes.
type request struct {
	method string
	path   string
	query  url.Values
	// body is JSON if any; raw, if set, is sent instead, and only once.
	body []byte
	raw  io.Reader
	key  task.Key
	// repeat: it may be sent again when it is not known what became of it.
	repeat bool
	// passive: it never starts a daemon.
	passive bool
	// patience is how long it waits for a daemon that is not there; a try may change it.
	patience time.Duration
}

var (
	apiHeader     = []string{strconv.Itoa(task.API)}
	versionHeader = []string{task.Version()}
	jsonType      = []string{"application/json"}
	bytesType     = []string{"application/octet-stream"}
)

func (c *Client) newRequest(method, path string) *request {
	return &request{method: method, path: path, repeat: method == http.MethodGet, patience: c.opts.DialRetry}
}

// newPost encodes body, which may be nil.
func (c *Client) newPost(path string, body any) (*request, error) {
	req := c.newRequest(http.MethodPost, path)
	if body == nil {
		return req, nil
	}
	b, err := json.Marshal(body)
	if err != nil {
		return nil, task.Errorf(task.InvalidArgument, "encode the request: %w", err)
	}
	if len(b) > task.MaxBody {
		return nil, task.Errorf(task.InvalidArgument, "request: %d bytes, the limit is %d", len(b), task.MaxBody).
			WithHint("put the data into a file and name the file")
	}
	req.body = b
	return req, nil
}

// keyed makes req safe to repeat: under the caller's key, or one of our own.
func (req *request) keyed(k task.Key) error {
	if err := k.Validate(); err != nil {
		return err
	}
	if k == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return task.Errorf(task.Internal, "make an idempotency key: %w", err)
		}
		k = task.Key(id.String())
	}
	req.key, req.repeat = k, true
	return nil
}

// send sends req once. The caller closes the response's body.
func (c *Client) send(ctx context.Context, req *request) (*http.Response, error) {
	header := http.Header{task.HeaderAPI: apiHeader, task.HeaderVersion: versionHeader}
	if name := *c.name.Load(); name != nil {
		header[task.HeaderClient] = name
	}
	if c.opts.Via != "" {
		header.Set(task.HeaderVia, c.opts.Via)
	}
	if req.key != "" {
		header[task.HeaderKey] = []string{string(req.key)}
	}
	r := (&http.Request{
		Method: req.method,
		URL:    &url.URL{Scheme: "http", Host: "durable", Path: req.path, RawQuery: req.query.Encode()},
		Header: header,
	}).WithContext(ctx)
	switch {
	case req.raw != nil:
		header["Content-Type"] = bytesType
		r.Body, r.ContentLength = io.NopCloser(req.raw), -1
	case req.body != nil:
		header["Content-Type"] = jsonType
		r.ContentLength = int64(len(req.body))
		r.Body, _ = newBody(req.body)()
		r.GetBody = newBody(req.body)
	}
	resp, err := c.transport.RoundTrip(r)
	if err != nil {
		return nil, transportError(err)
	}
	if err := check(resp); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

func newBody(b []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
}

// fetch sends req once and reads the answer into v.
func (c *Client) fetch(ctx context.Context, req *request, v any) error {
	resp, err := c.send(ctx, req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return &lostError{err}
	}
	if resp.StatusCode == http.StatusNoContent {
		return nil
	}
	if err := json.Unmarshal(body, v); err != nil {
		return task.Errorf(task.Internal, "the daemon's answer to %s %s: %w", req.method, req.path, err)
	}
	return nil
}

// call sends req as often as it takes and returns the answer.
func call[T any](ctx context.Context, c *Client, req *request) (T, error) {
	var v T
	if err := c.retry(ctx, req, func() error { return c.fetch(ctx, req, &v) }); err != nil {
		var zero T
		return zero, err
	}
	return v, nil
}

// get asks for what lies at path.
func get[T any](ctx context.Context, c *Client, path string) (T, error) {
	return call[T](ctx, c, c.newRequest(http.MethodGet, path))
}
