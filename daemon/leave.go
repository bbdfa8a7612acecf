package daemon

import (
	"context"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"durable/daemon/engine"
	"durable/ipc/socket"
)

// quietMost is how long requests that are under way when the daemon leaves may take before the engine stops.
const quietMost = 2 * time.Second

// listen opens the socket, or takes the one that is open already.
func (d *Daemon) listen() (*door, error) {
	if d.cfg.Listener != nil {
		return &door{Listener: d.cfg.Listener}, nil
	}
	var opts []socket.Option
	if d.cfg.Paths.System {
		opts = append(opts, socket.ForSystem())
	}
	l, err := socket.Listen(d.cfg.Paths.Socket, opts...)
	if err != nil {
		return nil, err
	}
	return &door{Listener: l}, nil
}

// door is a listener that is closed before its server is: what nobody has accepted yet is the next daemon's, where the service manager
// holds the socket.
type door struct {
	net.Listener
	closed atomic.Bool
}

// Accept ends a server in order once the door is closed.
func (d *door) Accept() (net.Conn, error) {
	conn, err := d.Listener.Accept()
	if err != nil && d.closed.Load() {
		err = http.ErrServerClosed
	}
	return conn, err
}

func (d *door) Close() error {
	if d.closed.Swap(true) {
		return nil
	}
	return d.Listener.Close()
}

// leaveInOrder returns a context for the engine. It ends after leave: first nobody new is let in, then who has a request under way
// gets his answer from an engine that is whole, then the engine stops.
func (d *Daemon) leaveInOrder(leave context.Context, eng *engine.Engine, server *http.Server, door *door, t *traffic) context.Context {
	stop, cancel := context.WithCancel(context.WithoutCancel(leave))
	context.AfterFunc(leave, func() {
		defer cancel()
		d.notify(notifyStopping)
		if err := door.Close(); err != nil {
			d.log.Warn("close the socket", "error", err)
		}
		server.SetKeepAlivesEnabled(false)
		if d.endPrograms() {
			d.log.Info("programs end with the daemon")
			eng.EndPrograms()
		}
		t.settle(quietMost)
	})
	return stop
}

// endPrograms reports whether programs must not outlive this daemon.
func (d *Daemon) endPrograms() bool {
	if req := d.asked.Load(); req != nil {
		return req.EndPrograms
	}
	if mark, err := os.ReadFile(d.cfg.Paths.Stopped); err == nil && string(mark) == socket.StoppedAll {
		return true
	}
	return d.cfg.GoingDown != nil && d.cfg.GoingDown(context.Background())
}

// traffic knows how many connections have a request under way that will be answered soon.
type traffic struct {
	mu    sync.Mutex
	conns map[net.Conn]bool // those that are new or have a request
	long  int               // requests that last: streams, waits
	quiet chan struct{}     // closed when there are none; nil: nobody waits for that
}

// watchTraffic sets server up to be counted.
func watchTraffic(server *http.Server) *traffic {
	t := &traffic{conns: map[net.Conn]bool{}}
	server.ConnState = t.state
	next := server.Handler
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if lasts(r) {
			t.add(1)
			defer t.add(-1)
		}
		next.ServeHTTP(w, r)
	})
	return t
}

// lasts reports whether a request goes on for as long as the engine does.
func lasts(r *http.Request) bool {
	return strings.HasSuffix(r.URL.Path, "/wait") || strings.Contains(r.URL.RawQuery, "follow=")
}

func (t *traffic) state(conn net.Conn, state http.ConnState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if state == http.StateNew || state == http.StateActive {
		t.conns[conn] = true
	} else {
		delete(t.conns, conn)
	}
	t.lookLocked()
}

func (t *traffic) add(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.long += n
	t.lookLocked()
}

// lookLocked tells who waits that all is quiet. A stream's connection counts in both numbers.
func (t *traffic) lookLocked() {
	if t.quiet != nil && len(t.conns) <= t.long {
		close(t.quiet)
		t.quiet = nil
	}
}

// settle waits until no request is under way that will be answered soon, at most for most.
func (t *traffic) settle(most time.Duration) {
	quiet := make(chan struct{})
	t.mu.Lock()
	t.quiet = quiet
	t.lookLocked()
	t.mu.Unlock()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-quiet:
	case <-timer.C:
	}
}
