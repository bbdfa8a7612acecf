package localapi

import (
	"context"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"unicode"

	"durable/ipc/socket"
	"durable/ipc/task"
)

// maxClient bounds the name that a client gives itself, in bytes.
const maxClient = 200

// minAPI is the oldest [task.API] of a client that still works with this server.
const minAPI = 1

type identityKey struct{}

// identity is who is at the other end of a connection, asked once.
type identity struct {
	caller task.Caller
	err    error
}

// ConnContext is for http.Server.ConnContext: it asks the kernel who connected.
func (h *Handler) ConnContext(ctx context.Context, conn net.Conn) context.Context {
	caller, err := socket.Peer(conn)
	return context.WithValue(ctx, identityKey{}, &identity{caller, err})
}

// admit refuses what must not come in, and returns the context that names the caller.
func (h *Handler) admit(r *http.Request) (context.Context, error) {
	if err := local(r); err != nil {
		return nil, err
	}
	if err := speaks(r); err != nil {
		return nil, err
	}
	ctx := r.Context()
	caller, err := h.caller(ctx)
	if err != nil {
		return nil, err
	}
	if err := h.opts.Admit(caller); err != nil {
		return nil, err
	}
	if v := r.Header[task.HeaderClient]; len(v) > 0 {
		caller.Client = clientName(v[0])
	}
	if v := r.Header.Get(task.HeaderVia); v == task.ViaCLI || v == task.ViaMCP {
		caller.Via = v
	}
	return task.WithCaller(ctx, caller), nil
}

func (h *Handler) caller(ctx context.Context) (task.Caller, error) {
	if id, ok := ctx.Value(identityKey{}).(*identity); ok {
		return id.caller, id.err
	}
	if h.opts.Caller != nil {
		return *h.opts.Caller, nil
	}
	return task.Caller{}, task.Errorf(task.Unauthenticated, "it is not known who is at the other end of this connection")
}

// ownUser: where there are no user numbers, the pipe's descriptor has chosen already.
func ownUser(c task.Caller) error {
	if uid := os.Geteuid(); c.UID == uid || c.UID == 0 || uid == -1 {
		return nil
	}
	return task.Errorf(task.PermissionDenied, "this daemon serves another user (you are uid %d)", c.UID).
		WithHint("start one of your own: durabled run")
}

// local refuses what a browser sends on behalf of a page: such a request always has one of these marks.
func local(r *http.Request) error {
	for _, name := range [...]string{"Origin", "Referer"} {
		if _, ok := r.Header[name]; ok {
			return task.Errorf(task.PermissionDenied, "a request with %s comes from a web page: refused", name)
		}
	}
	host := r.Host
	if host == "durable" || host == "" {
		return nil
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if host == "durable" || host == "localhost" {
		return nil
	}
	return task.Errorf(task.PermissionDenied, "host %.80q: refused", r.Host).
		WithHint("ask for http://durable/")
}

// speaks: newer clients are welcome, and so are those that do not say (curl).
func speaks(r *http.Request) error {
	v := r.Header[task.HeaderAPI]
	if len(v) == 0 {
		return nil
	}
	api, err := strconv.Atoi(v[0])
	if err != nil {
		return task.Errorf(task.InvalidArgument, "header Durable-API: %.40q, want an integer", v[0])
	}
	if api < minAPI {
		return task.Errorf(task.VersionSkew, "the client speaks API %d, this daemon %d to %d", api, minAPI, task.API).
			WithHint("install the client that came with durabled %s", task.Version())
	}
	return nil
}

// clientName makes a name safe to store and to print.
func clientName(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), maxClient)], "")
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}
