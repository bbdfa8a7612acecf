package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"durable/daemon/engine"
	"durable/daemon/job"
	"durable/ipc/task"
)

// TestEveryTaskIsCleanedAtTheNextStart, however many there are.
func TestEveryTaskIsCleanedAtTheNextStart(t *testing.T) {
	const tasks = 300
	fail, cleaned := true, make(chan task.ID, tasks)
	h := newHouse(t, cleaner{script: script{name: "k", run: ok.run}, clean: func(t task.Task) error {
		if fail {
			return errors.New("locked")
		}
		cleaned <- t.ID
		return nil
	}}).up()
	var ids []task.ID
	for range tasks {
		ids = append(ids, h.submit(task.Spec{Kind: "k"}).ID)
	}
	for _, id := range ids {
		h.wait(id)
	}
	h.down()
	fail = false
	h.up()
	seen := map[task.ID]bool{}
	for len(seen) < tasks {
		select {
		case id := <-cleaned:
			seen[id] = true
		case <-time.After(time.Minute):
			t.Fatalf("%d of %d cleaned", len(seen), tasks)
		}
	}
}

// TestAnErrorOfAnySizeIsKeptInPart: the record has it once for each attempt.
func TestAnErrorOfAnySizeIsKeptInPart(t *testing.T) {
	h := newHouse(t, script{name: "k", run: func(context.Context, *job.Context) (any, error) {
		return nil, errors.New("begin " + strings.Repeat("ä", 1<<20))
	}}).up()
	got := h.wait(h.submit(task.Spec{Kind: "k", Retry: &task.Retry{MaxAttempts: 2, Backoff: 1, MaxBackoff: 1}}).ID)
	for _, text := range []string{got.Error.Message, got.LastError.Message, got.Attempts[0].Error} {
		if len(text) > engine.MaxError+10 || !strings.HasPrefix(text, "begin ä") || strings.ToValidUTF8(text, "?") != text {
			t.Errorf("%d bytes: %.40q", len(text), text)
		}
	}
}

// TestACallerWhoHasGoneGetsAnErrorOfOurs, as every caller does.
func TestACallerWhoHasGoneGetsAnErrorOfOurs(t *testing.T) {
	h := newHouse(t, ok).up()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 { // the store may take it up all the same
		if _, err := h.Submit(ctx, task.Spec{Kind: "ok"}, ""); err != nil {
			wantCode(t, err, task.Unavailable)
		}
	}
}
