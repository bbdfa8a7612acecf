package engine

import (
	"bytes"
	"context"
	"io"

	"durable/daemon/job"
	"durable/ipc/task"
)

// MaxInput is how much input one attempt takes in all, in bytes.
const MaxInput = 64 << 20

// Stdin implements task.Service. Pieces that come at once are taken one after the other: each finds out where the
// input ends by then.
func (e *Engine) Stdin(ctx context.Context, ref task.Ref, req task.StdinRequest) (task.StdinState, error) {
	if _, err := e.authorise(ctx); err != nil {
		return task.StdinState{}, err
	}
	a, kind, err := e.inputter(ref)
	if err != nil {
		return task.StdinState{}, err
	}
	select {
	case a.input <- struct{}{}:
		defer func() { <-a.input }()
	case <-a.returned:
		return task.StdinState{}, a.tooLate()
	case <-ctx.Done():
		return task.StdinState{}, task.Errorf(task.Unavailable, "stdin: %w", ctx.Err())
	}
	dir, err := a.AttemptDir()
	if err != nil {
		return task.StdinState{}, folderError(err)
	}
	if req.Data == nil {
		req.Data = bytes.NewReader(nil)
	}
	req.Data = &inputReader{a: a, from: req.Data, left: MaxInput - max(0, req.Offset)}
	state, err := kind.Input(ctx, dir, req)
	if err != nil {
		return task.StdinState{}, task.AsError(err)
	}
	return state, nil
}

// inputter returns the attempt that takes input now, or says why there is none.
func (e *Engine) inputter(ref task.Ref) (*attempt, job.Inputter, error) {
	e.claiming.RLock() // an attempt that the record has is in e.running too, or has ended
	defer e.claiming.RUnlock()
	rec, err := e.record(ref)
	if err != nil {
		return nil, nil, err
	}
	t := rec.Task
	e.mu.Lock()
	a := e.running[t.ID]
	e.mu.Unlock()
	switch {
	case t.Status.Terminal():
		return nil, nil, task.Errorf(task.FailedPrecondition, "task %d takes no input any more: it is %s", t.Number, t.Status).
			WithHint("durablectl logs %d shows what it wrote", t.Number)
	case t.Status != task.StatusRunning:
		return nil, nil, task.Errorf(task.FailedPrecondition, "task %d takes no input yet: it is %s", t.Number, describe(t)).
			WithHint("durablectl watch %d shows when it runs", t.Number)
	case t.Phase == task.PhaseStopping:
		return nil, nil, task.Errorf(task.FailedPrecondition, "task %d takes no input any more: it is being cancelled", t.Number)
	case a == nil && rec.Survives:
		return nil, nil, task.Errorf(task.FailedPrecondition, "task %d cannot be given input: this daemon has no kind %s", t.Number, t.Kind).
			WithHint("put the kind back into the configuration, then: durablectl reload")
	case a == nil || a.rec.Task.Attempt != t.Attempt:
		return nil, nil, task.Errorf(task.FailedPrecondition, "an attempt of task %d has just ended", t.Number)
	}
	kind, ok := a.kind.(job.Inputter)
	if !ok {
		return nil, nil, task.Errorf(task.Unimplemented, "task %d takes no input: it is of kind %s", t.Number, t.Kind).
			WithHint("only commands read from stdin: durablectl run")
	}
	return a, kind, nil
}

func (a *attempt) tooLate() error {
	return task.Errorf(task.FailedPrecondition, "attempt %d of task %d has ended", a.rec.Task.Attempt, a.rec.Task.Number).
		WithHint("durablectl status %d", a.rec.Task.Number)
}

// inputReader reads a piece of input, up to the limit and the end of the attempt.
type inputReader struct {
	a    *attempt
	from io.Reader
	left int64
}

func (r *inputReader) Read(b []byte) (int, error) {
	select {
	case <-r.a.returned:
		return 0, r.a.tooLate()
	default:
	}
	if int64(len(b)) > r.left+1 {
		b = b[:max(1, r.left+1)]
	}
	n, err := r.from.Read(b)
	if int64(n) > r.left { // one byte too many shows that there is more
		return int(max(0, r.left)), task.Errorf(task.ResourceExhausted, "input of more than %d bytes", int64(MaxInput)).
			WithHint("write it to a file: durablectl run --stdin FILE -- ...")
	}
	r.left -= int64(n)
	return n, err
}
