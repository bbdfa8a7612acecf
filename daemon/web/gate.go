package web

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"strings"

	"durable/ipc/task"
	"durable/ipc/token"
)

// gate decides who comes in.
type gate struct {
	auth  string
	token string // the file's path
	// hosts are the names besides addresses by which we may be called, in lower case.
	hosts map[string]bool
}

func newGate(opts Options) *gate {
	g := &gate{auth: AuthToken, token: opts.Token, hosts: map[string]bool{"localhost": true}}
	if opts.Auth == AuthNone {
		g.auth = AuthNone
	}
	host, _, _ := net.SplitHostPort(opts.Address)
	machine, _ := os.Hostname()
	for _, name := range []string{host, machine} {
		if name != "" {
			g.hosts[strings.ToLower(name)] = true
		}
	}
	return g
}

// guard is h behind the gate.
func (g *gate) guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := g.admit(r); err != nil {
			refuse(w, err)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func (g *gate) admit(r *http.Request) *task.Error {
	for _, name := range [...]string{"Origin", "Referer"} {
		if _, ok := r.Header[name]; ok {
			return task.Errorf(task.PermissionDenied, "a request with %s comes from a web page: refused", name)
		}
	}
	if !g.ours(r.Host) {
		return task.Errorf(task.PermissionDenied, "host %.80q: refused", r.Host).
			WithHint("call this machine by its address, such as 127.0.0.1, or as localhost")
	}
	if g.auth == AuthNone {
		return nil
	}
	const hint = "send Authorization: Bearer TOKEN; durablectl token prints the token"
	given := r.Header["Authorization"]
	if len(given) != 1 {
		return task.Errorf(task.Unauthenticated, "this address wants a token").WithHint(hint)
	}
	scheme, word, _ := strings.Cut(given[0], " ")
	want, err := token.Load(g.token)
	switch {
	case err != nil:
		return task.AsError(err)
	case !strings.EqualFold(scheme, "Bearer") || !token.Equal(strings.TrimSpace(word), want):
		return task.Errorf(task.Unauthenticated, "wrong token").WithHint(hint)
	}
	return nil
}

// ours reports whether a request to that host was meant for us: no name in the DNS can be made to be one of those.
func (g *gate) ours(hostPort string) bool {
	host := hostPort
	if name, _, err := net.SplitHostPort(hostPort); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return net.ParseIP(host) != nil || g.hosts[strings.ToLower(strings.TrimSuffix(host, "."))]
}

// refuse answers as the local API does.
func refuse(w http.ResponseWriter, e *task.Error) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	if e.Code == task.Unauthenticated {
		header.Set("WWW-Authenticate", `Bearer realm="durable"`)
	}
	w.WriteHeader(e.Code.HTTPStatus())
	_ = json.NewEncoder(w).Encode(task.Envelope{Error: e})
}
