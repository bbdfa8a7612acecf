package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/render"
	"durable/ipc/task"
)

// endedInStatus is how many of the tasks that ended last are on the status page.
const endedInStatus = 5

func newStatus(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "status [TASK]",
		Short: "Show how the daemon is doing, or all about one task",
		Long: `Show how the daemon is doing: how long it lives, what it uses, what runs and what ended.
With TASK, show all about that one. The exit status is 0 whenever the daemon answered, and 4
when it is not reachable: this command never starts it.`,
		Args:              atMost(1),
		ValidArgsFunction: c.completeTasks(true),
		RunE: do(func(ctx context.Context, args []string) error {
			if len(args) == 1 {
				return c.taskStatus(ctx, task.Ref(args[0]))
			}
			return c.status(ctx)
		}),
	}
}

func (c *cli) taskStatus(ctx context.Context, ref task.Ref) error {
	t, err := c.svc.Get(ctx, ref)
	if err != nil {
		return err
	}
	var left []task.Artifact
	if t.Attempt > 0 && !c.json {
		left, _ = c.svc.Artifacts(ctx, t.ID.Ref()) // a page about the task, whatever became of those
	}
	return c.print(t, func(s render.Screen) string { return s.Detail(t, left) })
}

// status shows the page. A list that the daemon cannot give is a warning on it: it did answer.
func (c *cli) status(ctx context.Context) error {
	info, err := c.svc.Info(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return c.encode(info)
	}
	page := render.Overview{Info: info, Client: task.Version()}
	if c.installable != nil && c.installable(ctx, info) {
		page.Install = "durablectl service install"
	}
	part := func(q task.ListQuery) []task.Task {
		list, err := c.svc.List(ctx, q)
		if err != nil {
			page.Warnings = append(page.Warnings, err.Error())
		}
		return list.Tasks
	}
	page.Running = part(task.ListQuery{Status: []task.Status{task.StatusRunning}, Limit: task.MaxLimit})
	page.Pending = part(task.ListQuery{Status: []task.Status{task.StatusPending}, Limit: task.MaxLimit})
	page.Ended = part(task.ListQuery{Status: task.Ended, Order: task.OrderEnded, Limit: endedInStatus})
	return c.write(c.draw().Status(page))
}

// unreachable reports whether err says that no daemon answers.
func unreachable(err error) bool { return errors.Is(err, task.Unavailable) }
