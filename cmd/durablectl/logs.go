package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"durable/ipc/task"
)

func newLogs(c *cli) *cobra.Command {
	var q task.LogQuery
	cmd := &cobra.Command{
		Use:   "logs TASK",
		Short: "Print what a task has written",
		Long: `Print what a task has written: the last attempt's log, unless asked otherwise. With --follow,
go on until the task has ended, through later attempts too. Ctrl-C ends that, never the task.`,
		Args:              exactly("TASK"),
		ValidArgsFunction: c.completeTasks(true),
		RunE: do(func(ctx context.Context, args []string) error {
			switch {
			case q.Tail < 0:
				return usage("--tail %d: want 0 or more", q.Tail)
			case q.Attempt < 0:
				return usage("--attempt %d: want 1 or more", q.Attempt)
			}
			return c.logs(ctx, task.Ref(args[0]), q)
		}),
	}
	cmd.Flags().BoolVarP(&q.Follow, "follow", "f", false, "go on with what is written from now on")
	cmd.Flags().IntVarP(&q.Tail, "tail", "n", 0, "only the last lines (default: all)")
	cmd.Flags().IntVar(&q.Attempt, "attempt", 0, "of this attempt, 1 is the first (default: the last)")
	cmd.Flags().StringVar(&q.Stream, "stream", "", "log, stdout or stderr (default: the kind's main one)")
	offer(cmd, "stream", task.StreamLog, task.StreamStdout, task.StreamStderr)
	return cmd
}

func (c *cli) logs(ctx context.Context, ref task.Ref, q task.LogQuery) error {
	if !q.Follow {
		_, err := c.copyLog(ctx, ref, q)
		return err
	}
	t, err := c.svc.Get(ctx, ref)
	if err != nil {
		return err
	}
	if err := c.followLogs(ctx, t, q); err != nil {
		return c.looking(ctx, ctx, err, number(t))
	}
	return nil
}

// followLogs copies one attempt's log after the other until the task has ended, or only the attempt
// that was asked for.
func (c *cli) followLogs(ctx context.Context, t task.Task, q task.LogQuery) error {
	seen, only := 0, q.Attempt > 0
	for {
		attempt, err := c.copyLog(ctx, t.ID.Ref(), q)
		missing := !only && errors.Is(err, task.NotFound) // nothing has been written yet
		if only || err != nil && !missing {
			return err
		}
		empty := noAttempt
		if missing {
			empty = q.Attempt
		} else {
			seen, q.Tail = attempt, 0
		}
		t, err = c.nextAttempt(ctx, t, seen, empty)
		if err != nil || t.Attempt <= seen || t.Attempt == empty && t.Status.Terminal() {
			return err
		}
		q.Attempt = t.Attempt
	}
}

// noAttempt is the number of none.
const noAttempt = -1

// copyLog prints a log and returns the attempt that it is of.
func (c *cli) copyLog(ctx context.Context, ref task.Ref, q task.LogQuery) (int, error) {
	log, err := c.svc.Log(ctx, ref, q)
	if err != nil {
		return 0, err
	}
	defer log.Body.Close()
	defer context.AfterFunc(ctx, func() { log.Body.Close() })()
	if _, err = io.Copy(c.out, log.Body); err != nil {
		if ctx.Err() != nil {
			return log.Attempt, context.Cause(ctx)
		}
		if task.AsError(err).Code != task.Internal {
			return log.Attempt, err
		}
		return log.Attempt, writeError(0, err)
	}
	return log.Attempt, nil
}

// nextAttempt waits until an attempt after seen has begun, or the task has ended. The attempt empty had no
// log a moment ago: something must have happened before it is worth another look.
func (c *cli) nextAttempt(ctx context.Context, t task.Task, seen, empty int) (task.Task, error) {
	stream, err := c.events(ctx, task.EventQuery{Task: t.ID.Ref(), Follow: true})
	if err != nil {
		return t, err
	}
	defer stream.Close()
	for {
		// Asked after the stream was opened, and again after each event: nothing happens unseen.
		t, err = c.svc.Get(ctx, t.ID.Ref())
		if err != nil || t.Status.Terminal() || t.Attempt > seen && t.Attempt != empty {
			return t, err
		}
		if _, err = stream.Next(); err != nil {
			return t, err
		}
		empty = noAttempt
	}
}
