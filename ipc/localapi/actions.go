package localapi

import (
	"context"
	"math"
	"net/http"
	"strconv"

	"durable/ipc/task"
)

// act is a POST to one task: path, key, an optional body of type Req, and a task in return.
func act[Req any](w http.ResponseWriter, r *http.Request, do func(context.Context, task.Ref, Req, task.Key) (task.Task, error)) error {
	id, err := ref(r)
	if err != nil {
		return err
	}
	k, err := key(r)
	if err != nil {
		return err
	}
	var req Req
	if err := readJSON(r, &req, true); err != nil {
		return err
	}
	t, err := do(r.Context(), id, req, k)
	return reply(w, t, err)
}

func (h *Handler) cancel(w http.ResponseWriter, r *http.Request) error {
	return act(w, r, h.svc.Cancel)
}

func (h *Handler) pause(w http.ResponseWriter, r *http.Request) error {
	return act(w, r, func(ctx context.Context, id task.Ref, _ struct{}, k task.Key) (task.Task, error) {
		return h.svc.Pause(ctx, id, k)
	})
}

func (h *Handler) resume(w http.ResponseWriter, r *http.Request) error {
	return act(w, r, func(ctx context.Context, id task.Ref, _ struct{}, k task.Key) (task.Task, error) {
		return h.svc.Resume(ctx, id, k)
	})
}

func (h *Handler) retry(w http.ResponseWriter, r *http.Request) error {
	return act(w, r, h.svc.Retry)
}

func (h *Handler) approve(w http.ResponseWriter, r *http.Request) error {
	return act(w, r, h.svc.Approve)
}

func (h *Handler) input(w http.ResponseWriter, r *http.Request) error {
	return act(w, r, h.svc.Answer)
}

// stdin without an offset is at the end: taken as 0, a second piece would pass for a repetition of the first.
func (h *Handler) stdin(w http.ResponseWriter, r *http.Request) error {
	id, err := ref(r)
	if err != nil {
		return err
	}
	q := parseQuery(r.URL.RawQuery, "offset", "close")
	req := task.StdinRequest{Offset: task.StdinAtEnd, Data: r.Body, Close: q.flag("close")}
	if at := q.text("offset"); at != "" && at != strconv.Itoa(task.StdinAtEnd) {
		req.Offset = q.number("offset", math.MaxInt64)
	}
	if q.err != nil {
		return q.err
	}
	state, err := h.svc.Stdin(r.Context(), id, req)
	return reply(w, state, err)
}
