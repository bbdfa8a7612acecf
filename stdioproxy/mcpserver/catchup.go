package mcpserver

import (
	"context"
	"strings"
	"unicode"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"durable/ipc/task"
)

// maxUnsent bounds what is kept for a session that nobody listens to.
const maxUnsent = 100

// ending is the last log line about a task.
type ending struct{ level, text string }

// tellEnding sends e to ss, or keeps it until [hub.catchUp] where nobody listens: over HTTP a client opens the stream for
// that when it likes, and opens it again when it broke.
func (h *hub) tellEnding(ctx context.Context, ss *mcp.ServerSession, e ending) {
	h.mu.Lock()
	if h.watched[ss] && len(h.unsent[ss]) < maxUnsent {
		h.unsent[ss] = append(h.unsent[ss], e)
	}
	h.mu.Unlock()
	h.sendEndings(ctx, ss)
}

// sendEndings sends what is kept for ss. What cannot be sent is kept again.
func (h *hub) sendEndings(ctx context.Context, ss *mcp.ServerSession) {
	h.sending.Lock() // else what is just being kept again would be missed by a stream that opens
	defer h.sending.Unlock()
	h.mu.Lock()
	due := h.unsent[ss]
	delete(h.unsent, ss)
	h.mu.Unlock()
	for i, e := range due {
		if sendLog(ctx, ss, e.level, e.text) == nil {
			continue
		}
		h.mu.Lock()
		if h.watched[ss] {
			h.unsent[ss] = append(due[i:len(due):len(due)], h.unsent[ss]...)
		}
		h.mu.Unlock()
		return
	}
}

// catchUp is called when somebody listens to ss: it hears of the tasks that have ended meanwhile, and that what it
// subscribed to may have changed.
func (h *hub) catchUp(ss *mcp.ServerSession) {
	h.background(func() {
		ctx := context.Background()
		h.sendEndings(ctx, ss)
		h.mu.Lock()
		var uris []string
		for _, uri := range sortedKeys(h.subs) {
			if h.subs[uri][ss] {
				uris = append(uris, uri)
			}
		}
		h.mu.Unlock()
		for _, uri := range uris {
			h.updated(ctx, uri)
		}
	})
}

// background runs f, which close waits for. Once the hub is closed nothing is run any more.
func (h *hub) background(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.wg.Go(f)
	}
}

// identify says to a service in our own process who calls.
func (s *Server) identify(next mcp.MethodHandler) mcp.MethodHandler {
	if s.opts.Caller == nil {
		return next
	}
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		name := ""
		if ss, ok := req.GetSession().(*mcp.ServerSession); ok {
			if p := ss.InitializeParams(); p != nil {
				name = printable(clientName(p.ClientInfo))
			}
		}
		return next(task.WithCaller(ctx, s.opts.Caller(name)), method, req)
	}
}

// maxClient bounds the name that a client gives itself, in bytes: the daemon's limit at its socket.
const maxClient = 200

// printable makes a name safe to store and to print, as the daemon does at its socket.
func printable(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), maxClient)], "")
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}
