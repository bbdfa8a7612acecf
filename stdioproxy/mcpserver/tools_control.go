package mcpserver

import (
	"context"
	"errors"
	"time"

	"durable/ipc/task"
)

// cancelWait is how long cancel_task waits for the end of the attempt: its grace is 10 s.
const cancelWait = 15 * time.Second

func (s *Server) controlTools() []tool {
	return []tool{{
		name: "cancel_task", title: "Cancel task", destructive: true, idempotent: true, args: []arg{taskArg},
		description: "Durable background job: cancels it for good. retry_task can go on from its checkpoint later.",
		run:         cancelTask,
	}, {
		name: "pause_task", title: "Pause task", idempotent: true, args: []arg{taskArg},
		description: "Durable background job: holds it until resume_task.",
		run: func(ctx context.Context, c *call) (*reply, error) {
			return c.change(ctx, c.s.svc.Pause)
		},
	}, {
		name: "resume_task", title: "Resume task", idempotent: true, args: []arg{taskArg},
		description: "Durable background job: lets a paused one go on.",
		run: func(ctx context.Context, c *call) (*reply, error) {
			return c.change(ctx, c.s.svc.Resume)
		},
	}}
}

// change answers with the task after a change.
func (c *call) change(ctx context.Context, change func(context.Context, task.Ref, task.Key) (task.Task, error)) (*reply, error) {
	ref, err := c.ref()
	if err != nil {
		return nil, err
	}
	t, err := change(ctx, ref, c.key())
	if err != nil {
		return nil, err
	}
	return taskReply(t), nil
}

// cancelTask says "cancelled" only when the status is: the commit decides, but the attempt may take
// its time to end.
func cancelTask(ctx context.Context, c *call) (*reply, error) {
	ref, err := c.ref()
	if err != nil {
		return notCancelled(ctx, c, c.args.string("task_id"), err), nil
	}
	// To the service a second cancel is a repetition, to the tutorial's clients a refusal.
	if t, err := c.s.svc.Get(ctx, ref); err == nil && t.Status.Terminal() {
		return notCancelled(ctx, c, string(ref), task.Errorf(task.FailedPrecondition, "task %d has ended already: it is %s", t.Number, t.Status)), nil
	}
	t, err := c.s.svc.Cancel(ctx, ref, task.CancelRequest{Reason: "cancel_task over MCP"}, c.key())
	switch {
	case errors.Is(err, task.NotFound), errors.Is(err, task.FailedPrecondition), errors.Is(err, task.InvalidArgument):
		return notCancelled(ctx, c, string(ref), err), nil
	case err != nil:
		return nil, err
	}
	if !t.Status.Terminal() {
		// What goes wrong while we wait changes nothing: the cancel is committed.
		if later, err := c.s.svc.Wait(ctx, t.ID.Ref(), cancelWait); err == nil {
			t = later
		}
	}
	r := taskReply(t)
	switch {
	case t.Status == task.StatusCancelled:
		c.say(ctx, "info", "Task %s cancelled successfully", t.ID)
		r.lead = "Task " + string(t.ID) + " cancelled. Status available at: " + statusURI(t.ID)
	case t.Status.Terminal():
		return notCancelled(ctx, c, string(t.ID), task.Errorf(task.FailedPrecondition, "it has ended meanwhile: %s", t.Status)), nil
	default:
		r.lead = "Task " + string(t.ID) + " is being cancelled. Status available at: " + statusURI(t.ID)
	}
	return r, nil
}

// notCancelled answers with the tutorial's text; why is what we know besides.
func notCancelled(ctx context.Context, c *call, ref string, why error) *reply {
	c.say(ctx, "warning", "Task %s not found or cannot be cancelled", ref)
	r := refusal(why)
	r.lead = "Task " + ref + " not found or cannot be cancelled"
	if r.err.Hint == "" {
		e := *r.err
		r.err = e.WithHint("list_tasks shows the tasks there are")
	}
	return r
}
