//go:build unix

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"testing"

	"durable/daemon/job"
	"durable/ipc/task"
)

// TestWaitsForRoom: an attempt that a full disk keeps from beginning waits, says so, and is the same one when it begins; it can be cancelled
// meanwhile. Another reason, or a full disk later on, is a failure as ever.
func TestWaitsForRoom(t *testing.T) {
	full := diskFull()
	var room atomic.Bool
	h := newHouse(t,
		script{name: "waits", run: func(context.Context, *job.Context) (any, error) {
			if !room.Load() {
				return nil, job.Unbegun(full)
			}
			return "done", nil
		}},
		script{name: "other", run: func(context.Context, *job.Context) (any, error) { return nil, job.Unbegun(errors.New("no")) }},
		script{name: "later", run: func(context.Context, *job.Context) (any, error) { return nil, full }},
	).up()
	waits, unwanted := h.submit(task.Spec{Kind: "waits"}), h.submit(task.Spec{Kind: "waits"})
	for _, made := range []task.Task{waits, unwanted} {
		h.awaitState(made.ID, func(t task.Task) bool { return t.Progress.Message == "waiting for space on the disk" })
	}
	for _, kind := range []string{"other", "later"} {
		if done := h.wait(h.submit(task.Spec{Kind: kind}).ID); done.Status != task.StatusFailed {
			t.Errorf("%s: %s", kind, done.Status)
		}
	}
	if _, err := h.Cancel(t.Context(), unwanted.ID.Ref(), task.CancelRequest{}, ""); err != nil {
		t.Fatal(err)
	}
	if done := h.wait(unwanted.ID); done.Status != task.StatusCancelled {
		t.Errorf("cancelled: %s, %v", done.Status, done.Error)
	}
	room.Store(true)
	if done := h.wait(waits.ID); done.Outcome != task.OutcomeSucceeded || done.Attempt != 1 || done.Progress.Message != "" {
		t.Errorf("%s in attempt %d, %q, %v", done.Outcome, done.Attempt, done.Progress.Message, done.Error)
	}
}

// TestWaitsForRoomAcrossDaemons: a daemon that leaves meanwhile leaves the task to the next.
func TestWaitsForRoomAcrossDaemons(t *testing.T) {
	full := diskFull()
	var room atomic.Bool
	h := newHouse(t, script{name: "waits", run: func(context.Context, *job.Context) (any, error) {
		if !room.Load() {
			return nil, job.Unbegun(full)
		}
		return nil, nil
	}}).up()
	made := h.submit(task.Spec{Kind: "waits"})
	h.awaitState(made.ID, func(t task.Task) bool { return t.Progress.Message != "" })
	h.down()
	room.Store(true)
	h.up()
	if done := h.wait(made.ID); done.Outcome != task.OutcomeSucceeded {
		t.Errorf("%s, %v", done.Outcome, done.Error)
	}
}

// diskFull is what Unix says of a full disk; store.NoSpace knows it by its text too.
func diskFull() error {
	return fmt.Errorf("the task's folder: %w", &fs.PathError{Op: "mkdir", Path: "x", Err: errors.New("no space left on device")})
}
