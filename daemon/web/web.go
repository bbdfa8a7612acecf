// Package web is the daemon's door on TCP: which address, who may come in, and how it is closed. What is served behind
// it is not its business.
//
// Nobody comes in by default: a client shows the token of [durable/ipc/token] as its bearer token. [AuthNone] leaves
// that out, on a loopback address only, where every user and every program of the machine may come in then.
//
// # Design
//
// A web page must not reach the daemon through the browser of the person who looks at it. What a browser sends on behalf
// of a page has an Origin or a Referer: refused, whatever it says. A page whose name was made to point here (DNS
// rebinding) still sends that name as the Host: refused unless it is an address, localhost, this machine's name or
// the one that was listened on. Both hold with a token too.
//
// Rejected: CORS headers and a list of allowed origins (no client of ours is a page; one that is has a server of its own);
// TLS (a certificate for an address at home is one that people click away: for more than one machine put a proxy or a
// tunnel in front); HTTP Basic (clients of MCP speak bearer).
package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"durable/ipc/task"
	"durable/ipc/token"
)

// How a client shows that it may come in.
const (
	// AuthToken wants the bearer token; the default.
	AuthToken = "token"
	// AuthNone lets in whoever connects.
	AuthNone = "none"
)

// Limits of a connection. What is behind the door limits what is in a request.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
)

// Options of a Door.
type Options struct {
	// Address is HOST:PORT; without a host every address of the machine, with port 0 any that is free.
	Address string
	// Auth is one of the Auth words; empty is AuthToken.
	Auth string
	// Token is the path of the token's file, which is made if there is none.
	Token string
	// Logger gets what an operator should know; nil: nothing is logged.
	Logger *slog.Logger
}

// Door is an address that is listened on.
type Door struct {
	opts     Options
	listener net.Listener
	server   *http.Server
	gate     *gate
}

// Check says whether that address may be served in that way, as far as it can be told without a try.
func Check(address, auth string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return task.Errorf(task.InvalidArgument, "HTTP address %q: want HOST:PORT", address).WithHint("such as 127.0.0.1:8080")
	}
	switch {
	case auth != "" && auth != AuthToken && auth != AuthNone:
		return task.Errorf(task.InvalidArgument, "HTTP auth %q: want %s or %s", auth, AuthToken, AuthNone).
			WithHint("leave it out: durablectl token prints the token that clients send")
	case auth == AuthNone && !strings.EqualFold(host, "localhost") && !loopback(host):
		return open(address)
	}
	return nil
}

func open(address string) error {
	return task.Errorf(task.InvalidArgument, "HTTP address %s: auth %s is for a loopback address only: anybody who reaches it could run programs as you", address, AuthNone).
		WithHint("listen on 127.0.0.1, or leave auth out: durablectl token prints the token that clients send")
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Listen opens the door; nobody is let in before Serve.
func Listen(ctx context.Context, opts Options) (*Door, error) {
	if err := Check(opts.Address, opts.Auth); err != nil {
		return nil, err
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Auth != AuthNone {
		if _, err := token.Ensure(opts.Token); err != nil {
			return nil, err
		}
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", opts.Address)
	if err != nil {
		return nil, cannotListen(opts.Address, err)
	}
	addr, ok := listener.Addr().(*net.TCPAddr)
	if opts.Auth == AuthNone && (!ok || !addr.IP.IsLoopback()) { // a localhost that is none
		_ = listener.Close()
		return nil, open(listener.Addr().String())
	}
	return &Door{opts: opts, listener: listener, gate: newGate(opts), server: &http.Server{
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(opts.Logger.Handler(), slog.LevelDebug),
	}}, nil
}

func cannotListen(address string, err error) error {
	e := task.Errorf(task.FailedPrecondition, "listen on %s: %w", address, err)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return e.WithHint("another program has that port: stop it, or name another port")
	case errors.Is(err, os.ErrPermission):
		return e.WithHint("ports below 1024 are for the system: name a higher one")
	}
	return e.WithHint("want HOST:PORT with an address of this machine, such as 127.0.0.1:8080")
}

// Addr is where the door is.
func (d *Door) Addr() string { return d.listener.Addr().String() }

// Serve lets in whom the gate lets pass, until Close. That is no error.
func (d *Door) Serve(h http.Handler) error {
	d.server.Handler = d.gate.guard(h)
	d.opts.Logger.Info("serving HTTP", "address", d.Addr(), "auth", d.gate.auth)
	if d.gate.auth == AuthNone {
		d.opts.Logger.Warn("whoever can connect to this address may start tasks: every user and program of this machine")
	}
	if err := d.server.Serve(d.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve HTTP on %s: %w", d.Addr(), err)
	}
	return nil
}

// Close takes nobody more, and lets requests that are under way finish until ctx is done. It may be called again, and
// without a Serve before.
func (d *Door) Close(ctx context.Context) {
	if err := d.server.Shutdown(ctx); err != nil {
		_ = d.server.Close()
	}
	_ = d.listener.Close()
}
