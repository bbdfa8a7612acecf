package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/render"
	"durable/ipc/task"
)

func newRetry(c *cli) *cobra.Command {
	var (
		req task.RetryRequest
		env []string
	)
	cmd := &cobra.Command{
		Use:   "retry TASK...",
		Short: "Repeat tasks that have ended, as new tasks",
		Long: `Repeat tasks that have ended, each as a new task that starts from the last checkpoint of the
old one, and print the new numbers. A program that run has started gets the environment of this
terminal, in its old folder. Values of the environment are secrets and gone with the end of a task:
--env brings those again that it had.`,
		Args:              atLeast("TASK"),
		ValidArgsFunction: c.completeTasks(false, task.Ended...),
		RunE: do(func(ctx context.Context, args []string) error {
			var err error
			if req.Env, err = environment(env); err != nil {
				return err
			}
			req.Environ = environ()
			return c.each(ctx, args, func(ref task.Ref) error {
				t, err := c.svc.Retry(ctx, ref, req, "")
				if err != nil {
					return err
				}
				return c.print(t, func(render.Screen) string { return fmt.Sprintln(t.Number) })
			})
		}),
	}
	cmd.Flags().BoolVar(&req.Fresh, "fresh", false, "from the beginning, not from the checkpoint")
	cmd.Flags().StringArrayVarP(&env, "env", "e", nil, "set `NAME=VALUE`, or NAME to what it is here; may be repeated; values stay secret")
	return cmd
}
