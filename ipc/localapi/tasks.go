package localapi

import (
	"net/http"

	"durable/ipc/task"
)

func (h *Handler) submit(w http.ResponseWriter, r *http.Request) error {
	k, err := key(r)
	if err != nil {
		return err
	}
	var spec task.Spec
	if err := readJSON(r, &spec, false); err != nil {
		return err
	}
	if err := spec.Validate(); err != nil {
		return err
	}
	t, err := h.svc.Submit(r.Context(), spec, k)
	return reply(w, t, err)
}

func (h *Handler) get(w http.ResponseWriter, r *http.Request) error {
	id, err := ref(r)
	if err != nil {
		return err
	}
	t, err := h.svc.Get(r.Context(), id)
	return reply(w, t, err)
}

func (h *Handler) list(w http.ResponseWriter, r *http.Request) error {
	q := parseQuery(r.URL.RawQuery, "status*", "label*", "kind", "root", "order", "limit", "cursor")
	lq := task.ListQuery{
		Status: q.statuses(),
		Kind:   q.text("kind"),
		Root:   task.ID(q.text("root")),
		Labels: q.labels(),
		Order:  q.order(),
		Limit:  int(q.number("limit", task.MaxLimit)),
		Cursor: q.text("cursor"),
	}
	if q.err != nil {
		return q.err
	}
	list, err := h.svc.List(r.Context(), lq)
	if list.Tasks == nil {
		list.Tasks = []task.Task{}
	}
	return reply(w, list, err)
}

func (h *Handler) forget(w http.ResponseWriter, r *http.Request) error {
	id, err := ref(r)
	if err != nil {
		return err
	}
	return replyNothing(w, h.svc.Forget(r.Context(), id))
}

// wait without a timeout waits as long as the server lets it.
func (h *Handler) wait(w http.ResponseWriter, r *http.Request) error {
	id, err := ref(r)
	if err != nil {
		return err
	}
	q := parseQuery(r.URL.RawQuery, "timeout")
	timeout := q.duration("timeout", h.opts.MaxWait)
	if q.err != nil {
		return q.err
	}
	t, err := h.svc.Wait(r.Context(), id, min(timeout, h.opts.MaxWait))
	return reply(w, t, err)
}
