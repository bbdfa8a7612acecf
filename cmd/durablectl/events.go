package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"durable/ipc/task"
)

func newEvents(c *cli) *cobra.Command {
	var (
		q     task.EventQuery
		after string
		of    string
	)
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Print what has happened, or what happens from now on",
		Long: `Print what the daemon's journal holds, the oldest first; with --follow, what happens from now on.
With --after, what happened after that cursor, as an event or a list of tasks has it (--json).`,
		Example: `  durablectl events --follow --json
  durablectl events --task 42`,
		Args: atMost(0),
		RunE: do(func(ctx context.Context, _ []string) error {
			q.After, q.Task = task.Cursor(after), task.Ref(of)
			if q.After == "" && !q.Follow {
				q.After = task.CursorStart
			}
			return c.showEvents(ctx, q)
		}),
	}
	cmd.Flags().BoolVarP(&q.Follow, "follow", "f", false, "go on with what happens from now on")
	cmd.Flags().StringVar(&after, "after", "", `only what happened after this cursor; "start" is the oldest there is`)
	cmd.Flags().StringVar(&of, "task", "", "only of this task")
	mustRegister(cmd, "task", c.completeTasks(false))
	return cmd
}

func (c *cli) showEvents(ctx context.Context, q task.EventQuery) error {
	stream, err := c.events(ctx, q)
	if err != nil {
		return err
	}
	defer stream.Close()
	for {
		e, err := stream.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if c.json {
			err = c.encode(e)
		} else {
			err = c.write(c.draw().Event(e))
		}
		if err != nil {
			return err
		}
	}
}
