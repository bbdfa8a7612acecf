package client_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"durable/ipc/client"
	"durable/ipc/localapi"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// patience is long enough for any restart in these tests; nothing waits for all of it.
const patience = time.Minute

// dir returns a folder whose path is short enough for a socket.
func dir(t testing.TB) string {
	t.Helper()
	d, err := os.MkdirTemp("/tmp", "d")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(d) })
	return d
}

// daemon is a server on a socket that can be killed and come back.
type daemon struct {
	t       testing.TB
	path    string
	handler http.Handler
	// dropReplies is how many POSTs are carried out whose answer never leaves, dropDeletes how many DELETEs.
	dropReplies, dropDeletes atomic.Int32

	mu   sync.Mutex
	srv  *http.Server
	done chan struct{}
}

func newDaemon(t testing.TB, svc task.Service) *daemon {
	t.Helper()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	d := &daemon{t: t, path: filepath.Join(dir(t), "s"), handler: localapi.New(svc, localapi.Options{Log: quiet})}
	t.Cleanup(d.kill)
	return d
}

func serve(t testing.TB, svc task.Service) *daemon {
	t.Helper()
	d := newDaemon(t, svc)
	d.up()
	return d
}

func (d *daemon) up() {
	d.t.Helper()
	l, err := socket.Listen(d.path)
	if err != nil {
		d.t.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	inner := d.handler.(*localapi.Handler)
	d.srv, d.done = inner.Server(), make(chan struct{})
	d.srv.Handler = http.HandlerFunc(d.serveHTTP)
	srv, done := d.srv, d.done
	go func() {
		defer close(done)
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			d.t.Error(err)
		}
	}()
}

func (d *daemon) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost && d.dropReplies.Add(-1) >= 0 || r.Method == http.MethodDelete && d.dropDeletes.Add(-1) >= 0 {
		d.handler.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
	d.handler.ServeHTTP(w, r)
}

// kill breaks every connection at once, as the death of the process does.
func (d *daemon) kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.srv != nil {
		d.srv.Close()
		<-d.done
		d.srv = nil
	}
}

func (d *daemon) client(opts client.Options) *client.Client {
	opts.Socket = d.path
	if opts.DialRetry == 0 {
		opts.DialRetry = patience
	}
	if opts.Reconnect == 0 {
		opts.Reconnect = patience
	}
	c := client.New(opts)
	d.t.Cleanup(func() { c.Close() })
	return c
}

// within fails the test, with all that it still waits for, instead of hanging it.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
