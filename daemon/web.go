package daemon

import (
	"context"
	"net/http"
	"time"

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
// where the command line's cannot be had the daemon has done nothing yet. The configuration's is no reason to leave the tasks
// alone: status says that it is missing.
func (d *Daemon) openDoor(ctx context.Context, set *settings) (*web.Door, error) {
	h, told := d.cfg.HTTP, true
	if h.Address == "" {
		h, told = set.http(), false
	}
	if h.Address == "" || d.cfg.Surface == nil {
		return nil, nil
	}
	door, err := web.Listen(ctx, web.Options{
		Address: h.Address, Auth: h.Auth, Token: token.Path(d.cfg.Paths.State), Logger: d.log,
	})
	if err != nil && !told {
		set.noHTTP(h.Address, err)
		return nil, nil
	}
	return door, err
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
