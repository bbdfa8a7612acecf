package mcpserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// HTTPPath is where the surface is.
const HTTPPath = "/mcp"

// Limits of the surface over HTTP.
const (
	// MaxBody is the longest message that is taken, in bytes, as long as a line over stdio may be.
	MaxBody = 4 << 20
	// bodyPatience is how long a client may take to send it.
	bodyPatience = 30 * time.Second
	// writePatience is how long a client may take to read what it is sent.
	writePatience = 10 * time.Second
	// DefaultMaxSessions is how many sessions there may be at once: a client that is killed leaves its own behind.
	DefaultMaxSessions = 100
	// DefaultIdle is how long a session lives of which nobody has a request or its stream open.
	DefaultIdle = time.Hour
)

// sessionHeader names the session that a request belongs to.
const sessionHeader = "Mcp-Session-Id"

// HTTPOptions says how an HTTP differs from the default. The zero value is usable.
type HTTPOptions struct {
	// MaxSessions bounds the sessions; 0 is DefaultMaxSessions.
	MaxSessions int
	// Idle ends a session that nobody has used for so long; 0 is DefaultIdle.
	Idle time.Duration
}

// HTTP is the surface by streamable HTTP, at [HTTPPath]. Who may call it is for what is in front of it to decide.
// Sessions are of protocol versions up to 2025-11-25: the Server must be made with [Options.Legacy].
type HTTP struct {
	server *Server
	opts   HTTPOptions
	sdk    http.Handler

	mu       sync.Mutex
	sessions map[string]*httpSession
	// beginning: requests under way that may begin one.
	beginning int
	// closing: no session is begun any more, and one ends with its last call.
	closing bool
	// empty gets a signal whenever sessions becomes empty.
	empty chan struct{}
}

// httpSession is a session's use. HTTP.mu guards it.
type httpSession struct {
	session *mcp.ServerSession
	// calls are the requests under way, streams the ones that only listen.
	calls, streams int
	idleSince      time.Time
	idle           *time.Timer
}

// HTTP returns the surface by streamable HTTP. It panics if the Server is not a legacy one.
func (s *Server) HTTP(opts HTTPOptions) *HTTP {
	if !s.opts.Legacy {
		panic("mcpserver: HTTP without Options.Legacy")
	}
	if opts.MaxSessions <= 0 {
		opts.MaxSessions = DefaultMaxSessions
	}
	if opts.Idle <= 0 {
		opts.Idle = DefaultIdle
	}
	h := &HTTP{server: s, opts: opts, sessions: map[string]*httpSession{}, empty: make(chan struct{}, 1)}
	h.sdk = mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s.mcp }, &mcp.StreamableHTTPOptions{
		Logger: slog.New(slog.DiscardHandler), // it warns of what a client does
		// What is in front of us knows more names of this machine.
		DisableLocalhostProtection: true,
	})
	return h
}

// ServeHTTP implements http.Handler.
func (h *HTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != HTTPPath {
		http.Error(w, "nothing here; MCP is at "+HTTPPath, http.StatusNotFound)
		return
	}
	id := r.Header.Get(sessionHeader)
	if id == "" {
		h.begin(w, r)
		return
	}
	stream := r.Method == http.MethodGet
	if !h.enter(id, stream) {
		http.Error(w, "there is no such session (any more): initialize again", http.StatusNotFound)
		return
	}
	defer h.leave(id, stream)
	opened := func() {}
	if stream {
		opened = func() { h.caughtUp(id) }
	}
	h.pass(&patientWriter{ResponseWriter: w, opened: opened}, r)
}

// pass hands r to the SDK once its body is read: a client that is slow to send holds up nothing but itself.
func (h *HTTP) pass(w *patientWriter, r *http.Request) {
	control := http.NewResponseController(w)
	defer func() { _ = control.SetWriteDeadline(time.Time{}) }() // the connection lives on
	if r.Method == http.MethodPost {
		_ = control.SetReadDeadline(time.Now().Add(bodyPatience)) // where it cannot be set there is no such client
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
		var long *http.MaxBytesError
		switch {
		case errors.As(err, &long):
			http.Error(w, fmt.Sprintf("message longer than %d bytes; put large data into a file and name the file", long.Limit),
				http.StatusRequestEntityTooLarge)
			return
		case err != nil:
			http.Error(w, "the message did not arrive", http.StatusBadRequest)
			return
		}
		_ = control.SetReadDeadline(time.Time{})
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	h.sdk.ServeHTTP(w, r)
}

// begin passes on a request without a session, which begins one if it is an initialize.
func (h *HTTP) begin(w http.ResponseWriter, r *http.Request) {
	if !h.room() {
		w.Header().Set("Retry-After", "60")
		http.Error(w, "too many sessions at once; end one, or try again later", http.StatusServiceUnavailable)
		return
	}
	// Noted before the client has its answer: it may use the session at once.
	begun := sync.OnceFunc(func() {
		if id := w.Header().Get(sessionHeader); id != "" {
			h.add(id)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.beginning--
	})
	defer begun()
	h.pass(&patientWriter{ResponseWriter: w, answers: begun, opened: func() {}}, r)
}

// room makes room for a session that may begin, and reports whether it did. Where there are too many, the one that nobody has
// used for the longest goes.
func (h *HTTP) room() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closing {
		return false
	}
	if len(h.sessions)+h.beginning < h.opts.MaxSessions {
		h.beginning++
		return true
	}
	oldest := ""
	for id, s := range h.sessions {
		if s.used() {
			continue
		}
		if oldest == "" || s.idleSince.Before(h.sessions[oldest].idleSince) {
			oldest = id
		}
	}
	if oldest == "" {
		return false
	}
	h.endLocked(oldest)
	h.beginning++
	return true
}

func (s *httpSession) used() bool { return s.calls+s.streams > 0 }

// add notes a session that has begun, unless it has ended again.
func (h *HTTP) add(id string) {
	for ss := range h.server.mcp.Sessions() {
		if ss.ID() != id {
			continue
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.sessions[id] != nil {
			return
		}
		h.sessions[id] = &httpSession{session: ss}
		h.server.hub.background(func() {
			_ = ss.Wait()
			h.ended(id, ss)
		})
		h.restLocked(id)
		return
	}
}

// enter notes a request of a session, and reports whether there is one.
func (h *HTTP) enter(id string, stream bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.sessions[id]
	if s == nil {
		return false
	}
	if s.idle != nil {
		s.idle.Stop()
		s.idle = nil
	}
	if stream {
		s.streams++
	} else {
		s.calls++
	}
	return true
}

// leave notes the end of a request.
func (h *HTTP) leave(id string, stream bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.sessions[id]
	if s == nil {
		return
	}
	if stream {
		s.streams--
	} else {
		s.calls--
	}
	h.restLocked(id)
}

// restLocked begins the idle time of a session that nobody uses, or ends it where we leave. h.mu is held.
func (h *HTTP) restLocked(id string) {
	s := h.sessions[id]
	switch {
	case h.closing && s.calls == 0:
		h.endLocked(id)
	case !s.used():
		s.idleSince = time.Now()
		s.idle = time.AfterFunc(h.opts.Idle, func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.sessions[id] == s && !s.used() {
				h.endLocked(id)
			}
		})
	}
}

// endLocked forgets a session and ends it, its streams with it. h.mu is held.
func (h *HTTP) endLocked(id string) {
	s := h.sessions[id]
	delete(h.sessions, id)
	if s.idle != nil {
		s.idle.Stop()
	}
	h.server.hub.background(func() { _ = s.session.Close() }) // it waits for calls under way
	if len(h.sessions) == 0 {
		select {
		case h.empty <- struct{}{}:
		default:
		}
	}
}

// ended notes that a session has ended, whoever did it.
func (h *HTTP) ended(id string, ss *mcp.ServerSession) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.sessions[id]; s != nil && s.session == ss {
		h.endLocked(id)
	}
}

// Drain ends the sessions: those with no call under way at once, the others with their last call. When ctx is done, calls
// are cancelled and get a little more. New sessions are refused from now on.
func (h *HTTP) Drain(ctx context.Context) {
	h.mu.Lock()
	h.closing = true
	for id, s := range h.sessions {
		if s.calls == 0 {
			h.endLocked(id)
		}
	}
	h.mu.Unlock()
	if h.awaitEmpty(ctx) {
		return
	}
	h.server.hurry()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainCancelled)
	defer cancel()
	h.awaitEmpty(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	for id := range h.sessions {
		h.endLocked(id)
	}
}

// awaitEmpty waits for the end of the last session; false: ctx was done before.
func (h *HTTP) awaitEmpty(ctx context.Context) bool {
	for {
		h.mu.Lock()
		left := len(h.sessions)
		h.mu.Unlock()
		if left == 0 {
			return true
		}
		select {
		case <-h.empty:
		case <-ctx.Done():
			return false
		}
	}
}

// caughtUp tells a session, whose stream is open now, what it could not be told before.
func (h *HTTP) caughtUp(id string) {
	h.mu.Lock()
	s := h.sessions[id]
	h.mu.Unlock()
	if s != nil {
		h.server.hub.catchUp(s.session)
	}
}

// patientWriter breaks the connection of a client that does not read: one session must not hold up the others. It also
// tells when the SDK has begun a stream, of which it flushes the head first.
type patientWriter struct {
	http.ResponseWriter
	once sync.Once
	// answers, if set, is called before anything is written; at least once.
	answers func()
	opened  func()
	status  int
}

// patience allows the next write its time.
func (w *patientWriter) patience() {
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(writePatience))
}

// WriteHeader implements http.ResponseWriter.
func (w *patientWriter) WriteHeader(status int) {
	if w.answers != nil {
		w.answers()
	}
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *patientWriter) Write(b []byte) (int, error) {
	if w.answers != nil {
		w.answers()
	}
	w.patience()
	return w.ResponseWriter.Write(b)
}

// FlushError is for http.ResponseController.
func (w *patientWriter) FlushError() error {
	if w.answers != nil {
		w.answers()
	}
	w.patience()
	err := http.NewResponseController(w.ResponseWriter).Flush()
	if w.status == http.StatusOK {
		w.once.Do(w.opened)
	}
	return err
}

// Flush implements http.Flusher.
func (w *patientWriter) Flush() { _ = w.FlushError() }

// Unwrap is for http.ResponseController.
func (w *patientWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
