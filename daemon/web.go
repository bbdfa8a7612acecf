package daemon

import (
	"context"
	"net/http"
	"time"

	"durable/daemon/config"
	"durable/daemon/web"
	"durable/ipc/task"
	"durable/ipc/token"
)

// Surface is what the daemon serves over HTTP, besides its own API on the socket.
type Surface interface {
	http.Handler
	// Drain ends what is open: what is under way may finish until ctx is done. Nothing new is begun any more.
	Drain(ctx context.Context)
	// Close is called once nothing is served any more.
	Close()
}

// openDoor listens where the command line or else the configuration says; nil: nowhere. That comes before any task is touched:
// where it fails the daemon has done nothing yet.
func (d *Daemon) openDoor(ctx context.Context, configured config.HTTP) (*web.Door, error) {
	h := d.cfg.HTTP
	if h.Address == "" {
		h = configured
	}
	if h.Address == "" || d.cfg.Surface == nil {
		return nil, nil
	}
	return web.Listen(ctx, web.Options{
		Address: h.Address, Auth: h.Auth, Token: token.Path(d.cfg.Paths.State), Logger: d.log,
	})
}

// serveWeb serves svc behind door until ended is closed: the tasks' engine has ended then, and calls under way get a
// moment for their last words.
func (d *Daemon) serveWeb(door *web.Door, svc task.Service, ended <-chan struct{}) error {
	surface := d.cfg.Surface(svc)
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		<-ended
		within(shutdownGrace, surface.Drain)
		within(shutdownGrace, door.Close)
		surface.Close()
	}()
	err := door.Serve(surface)
	<-closed
	return err
}

// within gives f that long.
func within(d time.Duration, f func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	f(ctx)
}
