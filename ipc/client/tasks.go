package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"durable/ipc/task"
)

// maxWait is how long one request of a Wait asks for; the daemon's own limit is a little higher.
const maxWait = 5 * time.Minute

// Submit accepts a task: see [task.Service].
func (c *Client) Submit(ctx context.Context, spec task.Spec, key task.Key) (task.Task, error) {
	return c.post(ctx, "/v1/tasks", spec, key)
}

// post sends a request that answers a task, under a key.
func (c *Client) post(ctx context.Context, path string, body any, key task.Key) (task.Task, error) {
	req, err := c.newPost(path, body)
	if err != nil {
		return task.Task{}, err
	}
	if err := req.keyed(key); err != nil {
		return task.Task{}, err
	}
	return call[task.Task](ctx, c, req)
}

// Get returns one task.
func (c *Client) Get(ctx context.Context, ref task.Ref) (task.Task, error) {
	if _, err := ref.Parse(); err != nil {
		return task.Task{}, err
	}
	return get[task.Task](ctx, c, taskPath(ref, ""))
}

// List returns a page of tasks.
func (c *Client) List(ctx context.Context, q task.ListQuery) (task.TaskList, error) {
	req := c.newRequest(http.MethodGet, "/v1/tasks")
	req.query = listValues(q)
	return call[task.TaskList](ctx, c, req)
}

func listValues(q task.ListQuery) url.Values {
	v := values("kind", q.Kind, "root", string(q.Root), "order", string(q.Order), "cursor", q.Cursor)
	var statuses []string
	for _, s := range q.Status {
		statuses = append(statuses, string(s))
	}
	set(v, "status", strings.Join(statuses, ","))
	for name, value := range q.Labels {
		v.Add("label", name+"="+value)
	}
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v
}

// Wait answers when the task is terminal or timeout has passed; a daemon that restarts in between is
// waited for.
func (c *Client) Wait(ctx context.Context, ref task.Ref, timeout time.Duration) (task.Task, error) {
	deadline := time.Now().Add(timeout)
	ref, err := c.pin(ctx, ref)
	if err != nil {
		return task.Task{}, err
	}
	req := c.newRequest(http.MethodGet, taskPath(ref, "wait"))
	for {
		var t task.Task
		err := c.retry(ctx, req, func() error {
			left := max(0, time.Until(deadline))
			req.query = values("timeout", min(left, maxWait).String())
			err := c.fetch(ctx, req, &t)
			if lost(err) { // it was established: the daemon gets the time of a restart
				req.patience = max(c.opts.DialRetry, min(c.opts.Reconnect, left))
			}
			return err
		})
		if err != nil {
			return task.Task{}, err
		}
		if t.Status.Terminal() || time.Until(deadline) <= 0 {
			return t, nil
		}
	}
}

// Cancel cancels a task.
func (c *Client) Cancel(ctx context.Context, ref task.Ref, req task.CancelRequest, key task.Key) (task.Task, error) {
	return c.act(ctx, ref, "cancel", req, key)
}

// Pause holds a task.
func (c *Client) Pause(ctx context.Context, ref task.Ref, key task.Key) (task.Task, error) {
	return c.act(ctx, ref, "pause", nil, key)
}

// Resume lets a held task go on.
func (c *Client) Resume(ctx context.Context, ref task.Ref, key task.Key) (task.Task, error) {
	return c.act(ctx, ref, "resume", nil, key)
}

// Retry submits a new task that repeats a terminal one.
func (c *Client) Retry(ctx context.Context, ref task.Ref, req task.RetryRequest, key task.Key) (task.Task, error) {
	return c.act(ctx, ref, "retry", req, key)
}

// Approve allows a task that waits for it.
func (c *Client) Approve(ctx context.Context, ref task.Ref, req task.ApproveRequest, key task.Key) (task.Task, error) {
	return c.act(ctx, ref, "approve", req, key)
}

// Answer answers the question that a task asks.
func (c *Client) Answer(ctx context.Context, ref task.Ref, req task.AnswerRequest, key task.Key) (task.Task, error) {
	return c.act(ctx, ref, "input", req, key)
}

func (c *Client) act(ctx context.Context, ref task.Ref, verb string, body any, key task.Key) (task.Task, error) {
	ref, err := c.pin(ctx, ref)
	if err != nil {
		return task.Task{}, err
	}
	return c.post(ctx, taskPath(ref, verb), body, key)
}

// Forget removes a terminal task. It has no key: a repetition that finds nothing has done its work.
func (c *Client) Forget(ctx context.Context, ref task.Ref) error {
	ref, err := c.pin(ctx, ref)
	if err != nil {
		return err
	}
	req := c.newRequest(http.MethodDelete, taskPath(ref, ""))
	req.repeat = true
	sent := false
	return c.retry(ctx, req, func() error {
		err := c.fetch(ctx, req, nil)
		if sent && errors.Is(err, task.NotFound) {
			return nil
		}
		sent = sent || lost(err) || errors.Is(err, task.Unavailable) // which may be: outcome unknown
		return err
	})
}

// pin returns a Ref that means the same task whenever it is sent: "@last" and the parts of an ID may mean
// another one by the time of a repetition.
func (c *Client) pin(ctx context.Context, ref task.Ref) (task.Ref, error) {
	kind, err := ref.Parse()
	if err != nil {
		return "", err
	}
	if kind == task.RefNumber || kind == task.RefID {
		return ref, nil
	}
	t, err := c.Get(ctx, ref)
	return t.ID.Ref(), err
}

func taskPath(ref task.Ref, verb string) string {
	path := "/v1/tasks/" + string(ref)
	if verb != "" {
		path += "/" + verb
	}
	return path
}

// values makes a query of names and values; empty values are left out.
func values(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		set(v, pairs[i], pairs[i+1])
	}
	return v
}

func set(v url.Values, name, value string) {
	if value != "" {
		v.Set(name, value)
	}
}
