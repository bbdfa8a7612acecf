package mcpserver_test

import (
	"context"
	"io"

	"durable/ipc/task"
)

func (f *fake) Approve(_ context.Context, ref task.Ref, req task.ApproveRequest, _ task.Key) (task.Task, error) {
	f.mu.Lock()
	f.approvals = append(f.approvals, req.Always)
	f.mu.Unlock()
	return f.move(ref, func(t *task.Task) { t.Phase, t.Approval = task.PhaseQueued, nil })
}

func (f *fake) Pause(_ context.Context, ref task.Ref, _ task.Key) (task.Task, error) {
	return f.move(ref, func(t *task.Task) { t.Phase = task.PhasePaused })
}

func (f *fake) Resume(_ context.Context, ref task.Ref, _ task.Key) (task.Task, error) {
	return f.move(ref, func(t *task.Task) { t.Phase = task.PhaseQueued })
}

func (f *fake) move(ref task.Ref, fn func(*task.Task)) (task.Task, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t, err := f.getLocked(ref)
	if err != nil {
		return t, err
	}
	p := &f.tasks[t.Number-1]
	fn(p)
	f.emitLocked(task.EventStatus, *p)
	return *p, nil
}

func (f *fake) Stdin(_ context.Context, ref task.Ref, req task.StdinRequest) (task.StdinState, error) {
	data, err := io.ReadAll(req.Data)
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, missing := f.getLocked(ref); missing != nil || err != nil {
		return task.StdinState{}, missing
	}
	end := int64(len(f.input))
	switch at := req.Offset; {
	case at > end:
		return task.StdinState{}, task.Errorf(task.OutOfRange, "offset %d: the input has %d bytes", at, end)
	case at >= 0:
		data = data[min(int64(len(data)), end-at):]
	}
	f.input += string(data)
	f.closed = f.closed || req.Close
	return task.StdinState{Offset: int64(len(f.input)), Closed: f.closed}, nil
}

func (f *fake) Kinds(context.Context) ([]task.KindInfo, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.kinds, f.upLocked()
}

// setKinds changes the kinds, as a reload does, and tells of it.
func (f *fake) setKinds(kinds ...task.KindInfo) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kinds = kinds
	for s := range f.streams {
		s.pushLocked(task.Event{Type: task.EventKinds})
	}
}
