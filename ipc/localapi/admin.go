package localapi

import (
	"net/http"

	"durable/ipc/task"
)

func (h *Handler) backup(w http.ResponseWriter, r *http.Request) error {
	var req task.BackupRequest
	if err := readJSON(r, &req, false); err != nil {
		return err
	}
	result, err := h.svc.Backup(r.Context(), req)
	return reply(w, result, err)
}

func (h *Handler) reload(w http.ResponseWriter, r *http.Request) error {
	if err := noBody(r); err != nil {
		return err
	}
	result, err := h.svc.Reload(r.Context())
	return reply(w, result, err)
}

func (h *Handler) drain(w http.ResponseWriter, r *http.Request) error {
	var req task.DrainRequest
	if err := readJSON(r, &req, true); err != nil {
		return err
	}
	info, err := h.svc.Drain(r.Context(), req)
	return reply(w, info, err)
}

func (h *Handler) prune(w http.ResponseWriter, r *http.Request) error {
	var req task.PruneRequest
	if err := readJSON(r, &req, true); err != nil {
		return err
	}
	result, err := h.svc.Prune(r.Context(), req)
	return reply(w, result, err)
}

func (h *Handler) shutdown(w http.ResponseWriter, r *http.Request) error {
	var req task.ShutdownRequest
	if err := readJSON(r, &req, true); err != nil {
		return err
	}
	return replyNothing(w, h.svc.Shutdown(r.Context(), req))
}
