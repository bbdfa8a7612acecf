package localapi

import (
	"io"
	"net/http"

	"durable/ipc/task"
)

func (h *Handler) info(w http.ResponseWriter, r *http.Request) error {
	info, err := h.svc.Info(r.Context())
	return reply(w, info, err)
}

// KindList is the body of GET /v1/kinds.
type KindList struct {
	Kinds []task.KindInfo `json:"kinds"`
}

func (h *Handler) kinds(w http.ResponseWriter, r *http.Request) error {
	kinds, err := h.svc.Kinds(r.Context())
	if kinds == nil {
		kinds = []task.KindInfo{}
	}
	return reply(w, KindList{kinds}, err)
}

func (h *Handler) stats(w http.ResponseWriter, r *http.Request) error {
	stats, err := h.svc.Stats(r.Context())
	return reply(w, stats, err)
}

// healthz answers while the process serves requests at all.
func (h *Handler) healthz(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "ok\n")
	return nil
}

func (h *Handler) metrics(w http.ResponseWriter, r *http.Request) error {
	if h.opts.Metrics == nil {
		return task.Errorf(task.Unimplemented, "metrics: this daemon keeps none")
	}
	h.opts.Metrics.ServeHTTP(w, r)
	return nil
}
