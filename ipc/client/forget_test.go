package client_test

import (
	"context"
	"errors"
	"testing"

	"durable/ipc/client"
	"durable/ipc/task"
)

// doubtful forgets a task in a commit that fails after it has reached the disk.
type doubtful struct {
	task.UnimplementedService
	calls int
}

func (d *doubtful) Forget(context.Context, task.Ref) error {
	if d.calls++; d.calls == 1 {
		return task.OutcomeUnknown(errors.New("input/output error"))
	}
	return task.Errorf(task.NotFound, "no task 1")
}

// TestForgetOfUnknownOutcome: the repetition finds that the first try had done it.
func TestForgetOfUnknownOutcome(t *testing.T) {
	d := &doubtful{}
	c := serve(t, d).client(client.Options{})
	if err := c.Forget(within(t), "1"); err != nil || d.calls != 2 {
		t.Errorf("after %d calls: %v", d.calls, err)
	}
	err := c.Forget(within(t), "1")
	if !errors.Is(err, task.NotFound) {
		t.Errorf("a task that was never there: %v", err)
	}
}
