package main

import (
	"context"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"durable/cmd/durablectl/internal/render"
	"durable/ipc/task"
)

// waitStep is how long one request waits: well below what any proxy or daemon allows.
const waitStep = 25 * time.Second

func newWait(c *cli) *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "wait TASK...",
		Short: "Wait until tasks have ended",
		Long: `Wait until all the tasks have ended, and print how each did.
Ctrl-C ends the waiting, never a task. The exit status is 0 when all completed, 10 when one failed,
11 when one was cancelled, 124 when --timeout passed before.`,
		Args:              atLeast("TASK"),
		ValidArgsFunction: c.completeTasks(false, task.Unfinished...),
		RunE: do(func(ctx context.Context, args []string) error {
			return c.wait(ctx, args, timeout)
		}),
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "wait no longer than this, such as 10m (default: to the end)")
	return cmd
}

// wait waits for all tasks at once and prints each as it ends.
func (c *cli) wait(ctx context.Context, refs []string, timeout time.Duration) error {
	within, cancel := limited(ctx, timeout)
	defer cancel()
	tasks := make([]task.Task, len(refs))
	for i, ref := range refs { // a slip of the pen is told at once, not after the others have ended
		t, err := c.svc.Get(within, task.Ref(ref))
		if err != nil {
			return c.looking(ctx, within, err, ref)
		}
		tasks[i] = t
	}
	var mu sync.Mutex
	group, all := errgroup.WithContext(within)
	for i, t := range tasks {
		group.Go(func() error {
			ended, err := c.waitOne(all, t)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			tasks[i] = ended
			return c.print(ended, func(s render.Screen) string { return s.Ending(ended) })
		})
	}
	err := group.Wait()
	if err == nil {
		return worst(tasks)
	}
	c.freshLine(ctx)
	for _, t := range tasks {
		if !t.Status.Terminal() {
			return c.looking(ctx, within, err, number(t))
		}
	}
	return err
}

// waitOne asks again and again until t has ended.
func (c *cli) waitOne(ctx context.Context, t task.Task) (task.Task, error) {
	for !t.Status.Terminal() {
		if ctx.Err() != nil {
			return t, context.Cause(ctx)
		}
		var err error
		if t, err = c.svc.Wait(ctx, t.ID.Ref(), waitStep); err != nil {
			return t, err
		}
	}
	return t, nil
}

// worst returns the verdict on all: a failure counts more than a cancel.
func worst(tasks []task.Task) error {
	var verdictOfAll error
	for _, t := range tasks {
		if err := verdict(t); err == exit(exitFailed) || verdictOfAll == nil {
			verdictOfAll = err
		}
	}
	return verdictOfAll
}
