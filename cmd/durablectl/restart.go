package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/render"
	"durable/ipc/socket"
	"durable/ipc/task"
)

func newRestart(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "restart",
		Short: "Stop the daemon, if it runs, and start it again",
		Long: `Stop the daemon, if it runs, start it again and wait until it answers. Running tasks save their
position and go on from there.`,
		Args: atMost(0),
		RunE: do(func(ctx context.Context, _ []string) error { return c.restart(ctx) }),
	}
}

// restart stops through a service that starts nothing, or a daemon that is not there would be started
// only to be stopped.
func (c *cli) restart(ctx context.Context) error {
	at, how := c.socket, reachRestart
	info, err := c.leave(ctx, task.ShutdownRequest{Restart: true})
	if err != nil && !unreachable(err) {
		return err
	}
	if err == nil && info.Paths.Socket == socket.SystemPaths().Socket { // its service manager brings it back
		at, how = info.Paths.Socket, reachReturning
	}
	info, err = c.connect(at, how).Info(ctx)
	if err != nil {
		return err
	}
	defer func() { // such as a configuration that is not in force: this is when somebody looks
		for _, w := range info.Warnings {
			c.note("warning: %s", render.Clean(w))
		}
	}()
	return c.print(info, func(render.Screen) string {
		return fmt.Sprintf("durabled %s runs (pid %d)\n", render.Clean(info.Version), info.PID)
	})
}
