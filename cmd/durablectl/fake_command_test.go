package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"durable/ipc/task"
)

// nightlySchema is that of a user-defined kind.
const nightlySchema = `{"type":"object","properties":{` +
	`"branch":{"type":"string","enum":["main","next"],"description":"What to build"},` +
	`"jobs":{"type":"integer","default":4},"ratio":{"type":"number"},"clean_first":{"type":"boolean"},` +
	`"out":{"type":"string","format":"path"},"title":{"type":"string"}},"required":["branch"]}`

// note keeps what was asked for, for "did".
func (f *fake) note(format string, args ...any) {
	f.update(func() { f.did = append(f.did, fmt.Sprintf(format, args...)) })
}

func (f *fake) Approve(_ context.Context, ref task.Ref, req task.ApproveRequest, _ task.Key) (task.Task, error) {
	return f.change(ref, task.EventStatus, func(t *task.Task) error {
		if t.Phase != task.PhaseAwaitingApproval {
			return task.Errorf(task.FailedPrecondition, "task %d does not wait for approval", t.Number)
		}
		t.Phase, t.Approval = task.PhaseQueued, nil
		f.did = append(f.did, fmt.Sprintf("approve %d always=%t", t.Number, req.Always))
		return nil
	})
}

func (f *fake) Stdin(_ context.Context, ref task.Ref, req task.StdinRequest) (task.StdinState, error) {
	data, err := io.ReadAll(req.Data)
	if err != nil {
		return task.StdinState{}, task.Errorf(task.Unavailable, "read: %w", err)
	}
	var state task.StdinState
	f.update(func() {
		var t *task.Task
		if t, err = f.findLocked(ref); err != nil {
			return
		}
		had := f.input[t.Number]
		end := int64(len(had))
		if req.Offset > end {
			err = task.Errorf(task.OutOfRange, "offset %d: the input has %d bytes", req.Offset, end)
			return
		}
		if req.Offset >= 0 {
			data = data[min(int64(len(data)), end-req.Offset):]
		}
		f.input[t.Number] = append(had, data...)
		f.closed[t.Number] = f.closed[t.Number] || req.Close
		state = task.StdinState{Offset: int64(len(f.input[t.Number])), Closed: f.closed[t.Number]}
		if f.lose > 0 && len(data) > 0 {
			f.lose--
			err = task.Errorf(task.Unavailable, "the daemon is gone")
		}
	})
	return state, err
}

func (f *fake) Prune(_ context.Context, req task.PruneRequest) (task.PruneResult, error) {
	f.note("prune older=%s max=%d dry=%t", time.Duration(req.OlderThan), req.MaxBytes, req.DryRun)
	return task.PruneResult{Tasks: 12, Bytes: 3 << 20}, nil
}

func (f *fake) Reload(context.Context) (task.ReloadResult, error) {
	f.mu.Lock()
	n := len(f.did)
	f.mu.Unlock()
	f.note("reload")
	if n == 0 {
		return task.ReloadResult{Changed: []string{}}, nil
	}
	return task.ReloadResult{Changed: []string{"policy", "kinds"}}, nil
}

// Artifacts implements task.Service: what a task left stands in its label left.
func (f *fake) Artifacts(ctx context.Context, ref task.Ref) ([]task.Artifact, error) {
	t, err := f.Get(ctx, ref)
	if err != nil || t.Labels["left"] == "" {
		return nil, err
	}
	return []task.Artifact{{Name: "report.txt", Size: int64(len(t.Labels["left"])), ModTime: time.Now()}}, nil
}

func (f *fake) OpenArtifact(ctx context.Context, ref task.Ref, name string) (task.Artifact, io.ReadCloser, error) {
	left, err := f.Artifacts(ctx, ref)
	if err == nil && (len(left) == 0 || left[0].Name != name) {
		err = task.Errorf(task.NotFound, "task %s left no %q", ref, name)
	}
	if err != nil {
		return task.Artifact{}, nil, err
	}
	t, err := f.Get(ctx, ref)
	return left[0], io.NopCloser(strings.NewReader(t.Labels["left"])), err
}
