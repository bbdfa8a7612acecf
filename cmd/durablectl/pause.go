package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/render"
	"durable/ipc/task"
)

func newPause(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:               "pause TASK...",
		Short:             "Hold tasks until they are resumed",
		Args:              atLeast("TASK"),
		ValidArgsFunction: c.completeTasks(false, task.Unfinished...),
		RunE: do(func(ctx context.Context, args []string) error {
			return c.change(ctx, args, c.svc.Pause)
		}),
	}
}

func newResume(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:               "resume TASK...",
		Short:             "Let paused tasks go on",
		Args:              atLeast("TASK"),
		ValidArgsFunction: c.completeTasks(false, task.Unfinished...),
		RunE: do(func(ctx context.Context, args []string) error {
			return c.change(ctx, args, c.svc.Resume)
		}),
	}
}

// change makes a change to each task and prints where it stands then.
func (c *cli) change(ctx context.Context, refs []string, change func(context.Context, task.Ref, task.Key) (task.Task, error)) error {
	return c.each(ctx, refs, func(ref task.Ref) error {
		t, err := change(ctx, ref, "")
		if err != nil {
			return err
		}
		return c.print(t, func(render.Screen) string {
			return fmt.Sprintf("%d %s\n", t.Number, render.State(t.Status, t.Phase, t.Outcome))
		})
	})
}
