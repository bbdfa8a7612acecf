package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"durable/ipc/task"
)

func newWatch(c *cli) *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "watch TASK",
		Short: "Follow a task's progress to its end",
		Long: `Follow a task's progress to its end: with a bar on a terminal, else a line for each change.
Ctrl-C ends the watching, never the task. The exit status is 0 when the task completed, 10 when
it failed, 11 when it was cancelled, 124 when --timeout passed before.`,
		Args:              exactly("TASK"),
		ValidArgsFunction: c.completeTasks(true, task.Unfinished...),
		RunE: do(func(ctx context.Context, args []string) error {
			return c.watch(ctx, task.Ref(args[0]), timeout)
		}),
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "watch no longer than this, such as 10m (default: to the end)")
	return cmd
}

// errOver is the cause of a context that our own --timeout ended.
var errOver = errors.New("timeout passed")

// limited returns ctx with the user's --timeout; 0 is none.
func limited(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if timeout <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, timeout, errOver)
}

// watch follows a task to its end and shows what happens meanwhile.
func (c *cli) watch(ctx context.Context, ref task.Ref, timeout time.Duration) error {
	within, cancel := limited(ctx, timeout)
	defer cancel()
	t, err := c.svc.Get(within, ref)
	if err != nil {
		return c.looking(ctx, within, err, string(ref))
	}
	if c.json {
		return c.looking(ctx, within, c.stream(within, t), number(t))
	}
	v := c.view()
	ended, err := c.follow(within, t, v.show)
	v.close(err == nil)
	if err != nil {
		return c.looking(ctx, within, err, number(t))
	}
	s := c.draw()
	if err := c.write(s.Ending(ended) + s.Results(ended)); err != nil {
		return err
	}
	return verdict(ended)
}

// looking is how a command ends that only looked on and was cut short: by the user, by his
// --timeout, or by the error.
func (c *cli) looking(ctx, within context.Context, err error, ref string) error {
	switch {
	case err == nil || errors.As(err, new(exit)):
		return err
	case ctx.Err() != nil:
		c.note("%s goes on; durablectl watch %s", ref, ref)
		return exit(exitInterrupted)
	case context.Cause(within) == errOver:
		c.note("%s has not ended yet; durablectl watch %s", ref, ref)
		return exit(exitTimeout)
	}
	return err
}

// follow hands each report of t to show and returns the task as it ended. It listens before it asks how
// the task is, so that nothing can happen unseen in between.
func (c *cli) follow(ctx context.Context, t task.Task, show func(time.Time, task.Summary)) (task.Task, error) {
	stream, err := c.events(ctx, task.EventQuery{Task: t.ID.Ref(), Follow: true})
	if err != nil {
		return t, err
	}
	defer stream.Close()
	if t, err = c.svc.Get(ctx, t.ID.Ref()); err != nil || t.Status.Terminal() {
		return t, err
	}
	for show(c.now(), *t.Summary()); ; {
		e, err := stream.Next()
		switch {
		case err == io.EOF:
			return t, task.Errorf(task.Unavailable, "the daemon ended the stream of events").WithHint("durablectl watch %d", t.Number)
		case err != nil:
			return t, err
		case e.Type == task.EventRemoved:
			return t, task.Errorf(task.NotFound, "task %d was removed", t.Number)
		case e.Task == nil:
			continue
		case e.Task.Status.Terminal():
			return c.svc.Get(ctx, t.ID.Ref())
		}
		show(e.Time, *e.Task)
	}
}

// stream prints what has happened to t, and what does until its end, as the API's own events.
func (c *cli) stream(ctx context.Context, t task.Task) error {
	stream, err := c.events(ctx, task.EventQuery{Task: t.ID.Ref(), After: task.CursorStart, Follow: !t.Status.Terminal()})
	if err != nil {
		return err
	}
	defer stream.Close()
	for {
		e, err := stream.Next()
		if err == io.EOF {
			return verdict(t)
		}
		if err != nil {
			return err
		}
		if err := c.encode(e); err != nil {
			return err
		}
		if e.Type == task.EventRemoved {
			return task.Errorf(task.NotFound, "task %d was removed", t.Number)
		}
		if e.Task != nil && e.Task.Status.Terminal() {
			t.Status = e.Task.Status
			return verdict(t)
		}
	}
}

// events opens a stream that ends with ctx, whatever its reader does.
func (c *cli) events(ctx context.Context, q task.EventQuery) (task.EventStream, error) {
	stream, err := c.svc.Events(ctx, q)
	if err != nil {
		return nil, err
	}
	s := &boundStream{EventStream: stream, ctx: ctx}
	s.stop = context.AfterFunc(ctx, func() { stream.Close() })
	return s, nil
}

type boundStream struct {
	task.EventStream
	ctx  context.Context
	stop func() bool
}

func (s *boundStream) Next() (task.Event, error) {
	e, err := s.EventStream.Next()
	if err != nil && s.ctx.Err() != nil {
		return e, context.Cause(s.ctx)
	}
	return e, err
}

func (s *boundStream) Close() error {
	s.stop()
	return s.EventStream.Close()
}
