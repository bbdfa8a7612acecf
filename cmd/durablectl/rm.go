package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"durable/ipc/task"
)

func newRemove(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:               "rm TASK...",
		Short:             "Forget tasks that have ended, with their logs and artifacts",
		Args:              atLeast("TASK"),
		ValidArgsFunction: c.completeTasks(false, task.Ended...),
		RunE: do(func(ctx context.Context, args []string) error {
			return c.each(ctx, args, func(ref task.Ref) error {
				t, err := c.svc.Get(ctx, ref) // its number, for which @last is no name any more
				if err != nil {
					return err
				}
				if err := c.svc.Forget(ctx, t.ID.Ref()); err != nil {
					return err
				}
				if c.json {
					return nil // the API answers nothing
				}
				return c.write(fmt.Sprintf("%d removed\n", t.Number))
			})
		}),
	}
}
