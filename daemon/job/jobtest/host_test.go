package jobtest

import (
	"errors"
	"testing"

	"durable/ipc/task"
)

// TestKill: what a killed attempt does after its death has no effect; what was kept before stays.
func TestKill(t *testing.T) {
	h := New(t)
	j := h.Context(task.Task{})
	h.Before = func(n int, _ []byte) error {
		if n == 2 {
			return ErrKilled
		}
		return nil
	}
	if err := j.Checkpoint(1); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := j.Checkpoint(2); !errors.Is(err, ErrKilled) {
			t.Fatalf("error %v, want ErrKilled", err)
		}
	}
	j.Progress(task.Progress{Done: 2})
	h.Revive()
	var got int
	if found, err := j.Load(&got); err != nil || !found || got != 1 {
		t.Errorf("checkpoint %d, %v, %v; want 1", got, found, err)
	}
	if n := len(h.Reports()); n != 0 {
		t.Errorf("%d reports of the dead", n)
	}
	h.Before, h.After = nil, func(int, []byte) error { return ErrKilled }
	if err := j.Checkpoint(3); !errors.Is(err, ErrKilled) {
		t.Fatal(err)
	}
	if _, err := j.Load(&got); err != nil || got != 3 {
		t.Errorf("checkpoint %d, %v; want 3", got, err)
	}
}
