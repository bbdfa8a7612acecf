package localapi

import (
	"net/http"
	"strings"
	"sync"

	"github.com/segmentio/encoding/json"

	"durable/ipc/task"
)

var (
	jsonType   = []string{"application/json"}
	ndjsonType = []string{"application/x-ndjson"}
	bytesType  = []string{"application/octet-stream"}
)

// reply writes v, or passes the error on: it takes what a method of the Service returns.
func reply[T any](w http.ResponseWriter, v T, err error) error {
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, v)
}

// replyNothing answers a request whose success says it all.
func replyNothing(w http.ResponseWriter, err error) error {
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// buffers are what answers are encoded into; those of at most largestKept bytes are used again.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

const largestKept = 64 << 10

// writeJSON encodes before it writes, so that an encoding error is still an answer. A client that has
// gone is no error of ours.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	buf := buffers.Get().(*[]byte)
	b, err := encode((*buf)[:0], v)
	if err != nil {
		return task.Errorf(task.Internal, "encode the answer: %w", err)
	}
	if cap(b) <= largestKept {
		*buf = b
		defer buffers.Put(buf)
	}
	w.Header()["Content-Type"] = jsonType
	if status != http.StatusOK {
		w.WriteHeader(status)
	}
	w.Write(b)
	return nil
}

// encode appends v to b as encoding/json's Encoder would write it, line break included.
func encode(b []byte, v any) ([]byte, error) {
	b, err := json.Append(b, v, json.EscapeHTML|json.SortMapKeys)
	return append(b, '\n'), err
}

// fail answers with err, or breaks the connection where the answer has begun: what came so far must
// not be taken for all.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := task.AsError(err)
	if e.Code == task.Internal && r.Context().Err() == nil {
		h.opts.Log.Error("internal error", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	if rw, ok := w.(*response); ok && rw.started {
		panic(http.ErrAbortHandler)
	}
	writeError(w, e)
}

func writeError(w http.ResponseWriter, e *task.Error) {
	if err := writeJSON(w, e.Code.HTTPStatus(), task.Envelope{Error: e}); err != nil {
		// Only Details can fail to encode; what happened must get through all the same.
		plain := &task.Error{Code: e.Code, Message: e.Message, Hint: e.Hint}
		_ = writeJSON(w, e.Code.HTTPStatus(), task.Envelope{Error: plain})
	}
}

var methods = []string{http.MethodGet, http.MethodPost, http.MethodDelete}

// unknown answers what no route matches: another method's route, or none.
func (h *Handler) unknown(w http.ResponseWriter, r *http.Request) error {
	var allowed []string
	for _, m := range methods {
		probe := &http.Request{Method: m, URL: r.URL, Host: r.Host}
		if _, pattern := h.mux.Handler(probe); pattern != "/" && pattern != "" {
			allowed = append(allowed, m)
		}
	}
	if len(allowed) == 0 {
		return task.Errorf(task.NotFound, "%s: no such route", r.URL.Path).
			WithDetail(task.DetailRoute, r.URL.Path).
			WithHint("this daemon is %s; a newer one may have it", task.Version())
	}
	allow := strings.Join(allowed, ", ")
	w.Header().Set("Allow", allow)
	return writeJSON(w, http.StatusMethodNotAllowed, task.Envelope{
		Error: task.Errorf(task.InvalidArgument, "%s %s: not that method", r.Method, r.URL.Path).WithHint("use %s", allow),
	})
}
