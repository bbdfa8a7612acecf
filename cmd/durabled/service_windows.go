package main

import (
	"context"
	"os"
	"sync/atomic"

	kardianos "github.com/kardianos/service"

	"durable/daemon"
	"durable/ipc/task"
)

// machineDown is set when Windows says that it shuts down.
var machineDown atomic.Bool

func goingDown(bool) func(context.Context) bool {
	return func(context.Context) bool { return machineDown.Load() }
}

// leftBy: the service manager restarts what leaves with an error.
func leftBy(req *task.ShutdownRequest, lives task.Lives) error {
	if req != nil && req.Restart && lives == task.LivesService {
		return exit(task.ExitRestart)
	}
	return nil
}

// underManager runs d as a service, if Windows' service manager has started this process, else as it is.
func underManager(ctx context.Context, cfg daemon.Config, d *daemon.Daemon) error {
	if kardianos.Interactive() || !cfg.Paths.System {
		return d.Run(ctx)
	}
	p := &program{d: d, ended: make(chan struct{})}
	p.ctx, p.leave = context.WithCancel(ctx)
	svc, err := kardianos.New(p, &kardianos.Config{Name: "durable"})
	if err != nil {
		return err
	}
	if err := svc.Run(); err != nil {
		return err
	}
	<-p.ended
	return p.err
}

// program is the daemon as the library wants it.
type program struct {
	d     *daemon.Daemon
	ctx   context.Context
	leave context.CancelFunc
	ended chan struct{}
	err   error // once ended is closed
}

// Start returns at once. A daemon that ends by itself has been told to, or has failed: what is no deliberate stop must look like a
// failure, or it is not restarted.
func (p *program) Start(svc kardianos.Service) error {
	go func() {
		p.err = p.d.Run(p.ctx)
		close(p.ended)
		if p.ctx.Err() == nil {
			endService(svc, p.err, p.d.Asked())
		}
	}()
	return nil
}

func (p *program) Stop(kardianos.Service) error {
	p.leave()
	<-p.ended
	return nil
}

// Shutdown is called instead of Stop when the machine goes down.
func (p *program) Shutdown(svc kardianos.Service) error {
	machineDown.Store(true)
	return p.Stop(svc)
}
func endService(svc kardianos.Service, err error, asked *task.ShutdownRequest) {
	switch {
	case err != nil:
		report(os.Stderr, err)
		os.Exit(1)
	case asked != nil && asked.Restart:
		os.Exit(task.ExitRestart)
	default:
		_ = svc.Stop() // by the service manager, which hears of a stop that way, not of a failure
	}
}
