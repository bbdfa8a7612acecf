package localapi

import (
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"durable/ipc/task"
)

// Limits of a request.
const (
	// DefaultMaxWait bounds one /wait. A client that wants more asks again.
	DefaultMaxWait = 10 * time.Minute
	// readHeaderTimeout is for a client that connects and says nothing more.
	readHeaderTimeout = 10 * time.Second
	maxHeaderBytes    = 64 << 10
)

// Options of a Handler; the zero value is a good one.
type Options struct {
	// Log gets defects of ours: panics and internal errors. Nil: slog.Default().
	Log *slog.Logger
	// Metrics answers GET /metrics. Nil: unimplemented.
	Metrics http.Handler
	// MaxWait bounds one /wait; 0 is DefaultMaxWait.
	MaxWait time.Duration
	// Admit says who may come in; nil admits this process's own user and root. The Service
	// authorises what they may do.
	Admit func(task.Caller) error
	// Caller is who calls on a connection that did not pass through ConnContext. Nil: such requests
	// are refused, so that a server that forgets ConnContext serves nobody rather than everybody.
	Caller *task.Caller
}

// Handler is the API as an http.Handler. It is safe for concurrent use.
type Handler struct {
	svc     task.Service
	opts    Options
	mux     *http.ServeMux
	version []string
	api     []string
}

// New returns the API of svc. It panics if svc is nil.
func New(svc task.Service, opts Options) *Handler {
	if svc == nil {
		panic("localapi: New with a nil Service")
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	if opts.MaxWait <= 0 {
		opts.MaxWait = DefaultMaxWait
	}
	if opts.Admit == nil {
		opts.Admit = ownUser
	}
	h := &Handler{
		svc: svc, opts: opts, mux: http.NewServeMux(),
		version: []string{task.Version()},
		api:     []string{strconv.Itoa(task.API)},
	}
	h.routes()
	return h
}

// Server returns a server that is set up for h; the caller gives it a listener of [socket.Listen], and
// shuts it down.
func (h *Handler) Server() *http.Server {
	return &http.Server{
		Handler:           h,
		ConnContext:       h.ConnContext,
		ReadHeaderTimeout: readHeaderTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(h.opts.Log.Handler(), slog.LevelDebug),
	}
}

func (h *Handler) routes() {
	for pattern, fn := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /v1/info":  h.info,
		"GET /v1/kinds": h.kinds,
		"GET /v1/stats": h.stats,
		"GET /healthz":  h.healthz,
		"GET /metrics":  h.metrics,

		"POST /v1/tasks":          h.submit,
		"GET /v1/tasks":           h.list,
		"GET /v1/tasks/{id}":      h.get,
		"DELETE /v1/tasks/{id}":   h.forget,
		"GET /v1/tasks/{id}/wait": h.wait,
		"GET /v1/events":          h.events,

		"POST /v1/tasks/{id}/cancel":  h.cancel,
		"POST /v1/tasks/{id}/pause":   h.pause,
		"POST /v1/tasks/{id}/resume":  h.resume,
		"POST /v1/tasks/{id}/retry":   h.retry,
		"POST /v1/tasks/{id}/approve": h.approve,
		"POST /v1/tasks/{id}/input":   h.input,
		"POST /v1/tasks/{id}/stdin":   h.stdin,

		"GET /v1/tasks/{id}/log":                 h.log,
		"GET /v1/tasks/{id}/artifacts":           h.artifacts,
		"GET /v1/tasks/{id}/artifacts/{name...}": h.artifact,

		"POST /v1/admin/backup":   h.backup,
		"POST /v1/admin/reload":   h.reload,
		"POST /v1/admin/drain":    h.drain,
		"POST /v1/admin/prune":    h.prune,
		"POST /v1/admin/shutdown": h.shutdown,

		"/": h.unknown,
	} {
		h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := fn(w, r); err != nil {
				h.fail(w, r, err)
			}
		})
	}
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header[task.HeaderVersion], header[task.HeaderAPI] = h.version, h.api
	rw := &response{ResponseWriter: w}
	defer h.contain(rw, r)
	ctx, err := h.admit(r)
	if err != nil {
		h.fail(rw, r, err)
		return
	}
	h.mux.ServeHTTP(rw, r.WithContext(ctx))
}

// contain turns a panic into an answer: one request fails, the daemon and the connection live on.
func (h *Handler) contain(w *response, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler {
		panic(v)
	}
	h.opts.Log.Error("panic in a request", "method", r.Method, "path", r.URL.Path, "panic", v, "stack", string(debug.Stack()))
	if w.started {
		panic(http.ErrAbortHandler)
	}
	writeError(w, task.Errorf(task.Internal, "the daemon met a defect of its own: %v", v).
		WithHint("its log has the stack; please report it"))
}

// response remembers whether the status is out, after which an error can only be a broken connection.
type response struct {
	http.ResponseWriter
	started bool
}

func (w *response) WriteHeader(status int) {
	w.started = true
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(b []byte) (int, error) {
	w.started = true
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController flush.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }
