package daemon

import (
	"context"

	"durable/daemon/notify"
	"durable/ipc/task"
)

// tellDesktop shows on the desktop what ends from here on, until what it returns is called.
func (d *Daemon) tellDesktop(ctx context.Context, tasks task.Service, set *settings) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	n, err := notify.Open(ctx, notify.Options{Tasks: tasks, After: set.notify, Show: d.cfg.Desktop, Logger: d.log})
	if err != nil {
		cancel()
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n.Run(ctx)
	}()
	return func() {
		cancel()
		<-ended
	}, nil
}
