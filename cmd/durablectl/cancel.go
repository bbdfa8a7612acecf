package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/render"
	"durable/ipc/task"
)

// cancelWait is how long cancel waits to see the end: the grace that attempts have, and some more.
const cancelWait = 15 * time.Second

func newCancel(c *cli) *cobra.Command {
	var req task.CancelRequest
	cmd := &cobra.Command{
		Use:   "cancel TASK...",
		Short: "Cancel tasks",
		Long: `Cancel tasks. Once the daemon has said yes, a task can only end cancelled; this command waits up
to 15 seconds to see that.`,
		Args:              atLeast("TASK"),
		ValidArgsFunction: c.completeTasks(false, task.Unfinished...),
		RunE: do(func(ctx context.Context, args []string) error {
			return c.cancel(ctx, args, req)
		}),
	}
	cmd.Flags().StringVar(&req.Reason, "reason", "", "why, for those who look at the task later")
	return cmd
}

// cancel first asks for all, so that they stop at the same time, and then waits for each.
func (c *cli) cancel(ctx context.Context, refs []string, req task.CancelRequest) error {
	var asked []task.Task
	failed := c.each(ctx, refs, func(ref task.Ref) error {
		t, err := c.svc.Cancel(ctx, ref, req, "")
		if err == nil {
			asked = append(asked, t)
		}
		return err
	})
	deadline := c.now().Add(cancelWait)
	for _, t := range asked {
		if !t.Status.Terminal() {
			now, err := c.svc.Wait(ctx, t.ID.Ref(), deadline.Sub(c.now()))
			if ctx.Err() != nil {
				c.note("%d is being cancelled all the same; durablectl status %d", t.Number, t.Number)
			}
			if err != nil {
				return err
			}
			t = now
		}
		if err := c.print(t, func(render.Screen) string { return cancelled(t) }); err != nil {
			return err
		}
	}
	return failed
}

// cancelled says what has become of a task whose cancel was acknowledged: nothing that was not seen.
func cancelled(t task.Task) string {
	if t.Status.Terminal() {
		return fmt.Sprintf("%d %s\n", t.Number, t.Status)
	}
	return fmt.Sprintf("%d is being cancelled, its attempt has not ended yet; durablectl status %d\n", t.Number, t.Number)
}
