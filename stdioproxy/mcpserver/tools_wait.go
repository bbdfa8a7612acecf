package mcpserver

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"durable/ipc/task"
)

// answerTime is what is left of a call after the longest wait, to answer in.
const answerTime = 500 * time.Millisecond

// progressInterval is the least time between two progress notifications of a call; what comes meanwhile is told at its end.
const progressInterval = 250 * time.Millisecond

// waitForTask answers at the end of the task, at the timeout, or when the client takes the call back
// or leaves, always with the task as it was last seen.
func waitForTask(ctx context.Context, c *call) (*reply, error) {
	ref, err := c.ref()
	if err != nil {
		return nil, err
	}
	timeout := time.Duration(c.args.int("timeout_seconds", int64(maxCall/time.Second))) * time.Second
	begun := time.Now()
	t, err := c.s.svc.Get(ctx, ref)
	if err != nil {
		return nil, err
	}
	if !t.Status.Terminal() && timeout > 0 {
		if t, err = c.await(ctx, t, timeout); err != nil {
			return nil, err
		}
	}
	r := taskReply(t)
	if !t.Status.Terminal() {
		r.said("waited", "Still "+string(t.Status)+" after "+time.Since(begun).Round(time.Second).String()+". That is no error: "+goesOn(t))
	}
	return r, nil
}

// goesOn says whether time alone brings t further.
func goesOn(t task.Task) string {
	switch t.Phase {
	case task.PhaseAwaitingApproval, task.PhaseInputRequired:
		return "it " + phrases[t.Phase] + "; waiting here does not change that."
	case task.PhasePaused:
		return "it is paused; waiting here does not change that."
	}
	return "the task goes on by itself."
}

// await waits for the end of t and reports its progress meanwhile.
func (c *call) await(ctx context.Context, t task.Task, timeout time.Duration) (task.Task, error) {
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline)-answerTime)
	}
	stop := func(task.Task) {}
	if token := c.req.Params.GetProgressToken(); token != nil {
		stop = c.report(ctx, t, token)
	}
	later, err := c.s.svc.Wait(ctx, t.ID.Ref(), timeout)
	switch {
	case err == nil:
		t = later
	case errors.Is(ctx.Err(), context.Canceled):
		err = nil // nobody waits any more: what was seen last is the truth we have
	case ctx.Err() != nil:
		err = task.Errorf(task.Unavailable, "the daemon did not answer in time: task %d was %s when last seen", t.Number, t.Status).
			WithHint("the task is not lost: ask again with get_task_status")
	}
	stop(t)
	return t, err
}

// report sends t's progress while the call is open: the numbers count units. The function that it
// returns ends it, with the last word if that is news: nothing may be sent after the reply.
func (c *call) report(ctx context.Context, t task.Task, token any) func(task.Task) {
	ctx, cancel := context.WithCancel(ctx)
	p := &progress{ss: c.req.Session, token: token, sent: -1}
	first := t.Progress
	first.Message = message(t) // a job that has said nothing yet
	p.send(ctx, first)
	stream, err := c.s.svc.Events(ctx, task.EventQuery{Task: t.ID.Ref(), Follow: true})
	if err != nil { // progress is a courtesy: the wait itself goes on
		cancel()
		return func(last task.Task) { p.send(context.WithoutCancel(ctx), last.Progress) }
	}
	var wg sync.WaitGroup
	latest := make(chan task.Progress, 1)
	wg.Go(func() { read(stream, latest) })
	wg.Go(func() { p.follow(ctx, latest) })
	return func(last task.Task) {
		cancel()
		_ = stream.Close()
		wg.Wait()
		p.send(context.WithoutCancel(ctx), last.Progress)
	}
}

// progress sends notifications that only ever grow, as the protocol demands.
type progress struct {
	ss    *mcp.ServerSession
	token any
	sent  int64
}

// read keeps in latest what the stream said last, until it ends.
func read(stream task.EventStream, latest chan task.Progress) {
	for {
		ev, err := stream.Next()
		if err != nil {
			return
		}
		if ev.Task == nil {
			continue
		}
		select {
		case <-latest: // an older one, which is not told any more
		default:
		}
		latest <- ev.Task.Progress
	}
}

// follow sends what is in latest, in turns that are progressInterval apart. The job may be silent for long after what it said last.
func (p *progress) follow(ctx context.Context, latest <-chan task.Progress) {
	turn := time.NewTimer(progressInterval)
	defer turn.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-turn.C:
		}
		select {
		case <-ctx.Done():
			return
		case now := <-latest:
			p.send(ctx, now)
			turn.Reset(progressInterval)
		}
	}
}

// send sends now unless it is no news. That the session is gone is no error of anybody's.
func (p *progress) send(ctx context.Context, now task.Progress) {
	if now.Done <= p.sent {
		return
	}
	p.sent = now.Done
	params := &mcp.ProgressNotificationParams{ProgressToken: p.token, Progress: float64(now.Done), Message: now.Message}
	if now.Total != nil {
		params.Total = float64(*now.Total)
	}
	_ = p.ss.NotifyProgress(ctx, params)
}
