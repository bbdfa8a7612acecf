package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/spf13/cobra"

	"durable/ipc/socket"
	"durable/ipc/task"
)

// leaveTimeout is how long a daemon may take to leave: its tasks' grace to checkpoint, and some more.
const leaveTimeout = 30 * time.Second

func newShutdown(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "shutdown",
		Short: "Stop the daemon; its tasks go on when it is back",
		Long: `Stop the daemon and wait until it is gone. Running tasks save their position first and go on from
there when a daemon is back. It stays stopped until durablectl restart, or durabled run.`,
		Args: atMost(0),
		RunE: do(func(ctx context.Context, _ []string) error {
			info, err := c.svc.Info(ctx)
			if err != nil {
				return err
			}
			if s := c.own(ctx, info); s != nil { // or its service manager would start it again
				if err := s.Stop(ctx, false); err != nil || c.json {
					return err
				}
				return c.write(fmt.Sprintf("the service (pid %d) is stopped; its tasks go on after durablectl service start\n", info.PID))
			}
			info, err = c.leave(ctx, task.ShutdownRequest{})
			if err != nil || c.json {
				return err
			}
			return c.write(fmt.Sprintf("durabled (pid %d) is gone; its tasks go on after durablectl restart\n", info.PID))
		}),
	}
}

// leave makes the daemon leave, waits until it is gone, and returns what it said of itself before.
func (c *cli) leave(ctx context.Context, req task.ShutdownRequest) (task.Info, error) {
	info, err := c.svc.Info(ctx)
	if err != nil {
		return info, err
	}
	if err := c.svc.Shutdown(ctx, req); err != nil {
		return info, err
	}
	svc := c.connect(c.socket, reachNow)
	gone := func() (bool, error) { return gone(ctx, svc, info) }
	_, err = backoff.Retry(ctx, gone, backoff.WithBackOff(backoff.NewConstantBackOff(50*time.Millisecond)),
		backoff.WithMaxElapsedTime(leaveTimeout))
	if errors.Is(err, errThere) {
		return info, task.Errorf(task.FailedPrecondition, "durabled (pid %d) is still there after %s", info.PID, leaveTimeout).
			WithHint("it waits for its tasks; durablectl status")
	}
	return info, err
}

// errThere: the daemon has not left yet.
var errThere = errors.New("the daemon is still there")

// gone looks whether the daemon that said info has left: first its socket must be dead (or another
// daemon's), then its lock free, since it holds that to its very end and the next one needs it.
func gone(ctx context.Context, svc task.Service, info task.Info) (bool, error) {
	now, err := svc.Info(ctx)
	switch {
	case err == nil && now.PID == info.PID && now.StartedAt.Equal(info.StartedAt):
		return false, errThere
	case err == nil:
		return true, nil
	case ctx.Err() != nil:
		return false, backoff.Permanent(context.Cause(ctx))
	case !unreachable(err):
		return false, backoff.Permanent(err)
	}
	lock, err := socket.TryExisting(socket.In(info.Paths.State).Lock)
	if errors.Is(err, socket.ErrLocked) {
		return false, errThere
	}
	if err == nil {
		return true, lock.Unlock()
	}
	return true, nil // the system service's folder is not ours to look into
}
