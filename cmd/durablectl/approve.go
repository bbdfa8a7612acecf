package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/render"
	"durable/ipc/task"
)

func newApprove(c *cli) *cobra.Command {
	var req task.ApproveRequest
	cmd := &cobra.Command{
		Use:   "approve TASK...",
		Short: "Allow tasks that wait for your approval",
		Long: `Allow tasks that wait for approval; durablectl status shows which do, and what they would do. A no is
durablectl cancel. With --always the same program in the same folder (or the same file to overwrite)
is allowed from now on.

It wants a terminal, and refuses inside a task: this is a person's decision.`,
		Args:              atLeast("TASK"),
		ValidArgsFunction: c.completeApprovals,
		RunE: do(func(ctx context.Context, args []string) error {
			if err := c.person("approve"); err != nil {
				return err
			}
			return c.each(ctx, args, func(ref task.Ref) error {
				t, err := c.svc.Approve(ctx, ref, req, "")
				if err != nil {
					return err
				}
				return c.print(t, func(render.Screen) string {
					text := fmt.Sprintf("%d %s: %s\n", t.Number, render.State(t.Status, t.Phase, t.Outcome), render.Clean(t.Title))
					if req.Always {
						text += "from now on the like of it is not asked about; durablectl policy shows where that is kept\n"
					}
					return text
				})
			})
		}),
	}
	cmd.Flags().BoolVar(&req.Always, "always", false, "also from now on: the same program in the same folder")
	return cmd
}

// completeApprovals offers the tasks that wait for approval.
func (c *cli) completeApprovals(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	svc, ctx, cancel := c.ask(cmd)
	defer cancel()
	list, err := svc.List(ctx, task.ListQuery{Status: []task.Status{task.StatusPending}, Limit: task.MaxLimit})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var offers []cobra.Completion
	for _, t := range list.Tasks {
		if n := number(t); t.Phase == task.PhaseAwaitingApproval && !slices.Contains(args, n) {
			offers = append(offers, cobra.CompletionWithDesc(n, render.Clean(t.Title)))
		}
	}
	return offers, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}
