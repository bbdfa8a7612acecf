package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"durable/daemon/engine"
	"durable/daemon/job"
	"durable/ipc/task"
)

func names(infos []task.KindInfo) (names []string) {
	for _, k := range infos {
		names = append(names, k.Name)
	}
	return names
}

// TestReloadReplacesTheKinds: attempts that run keep theirs, tasks of a kind that is gone wait for a person.
func TestReloadReplacesTheKinds(t *testing.T) {
	k, running, release := hold("k")
	next := []job.Kind{ok, script{name: "new", run: ok.run}}
	var refusal error
	h := newHouse(t, k, ok)
	h.slots = 1
	h.tune = func(c *engine.Config) {
		c.Reload = func(context.Context) ([]job.Kind, []string, error) { return next, []string{"kinds"}, refusal }
	}
	h.up()
	ctx := t.Context()
	events, err := h.Events(ctx, task.EventQuery{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	first, second := h.submit(task.Spec{Kind: "k"}), h.submit(task.Spec{Kind: "k"})
	<-running

	refusal = task.Errorf(task.InvalidArgument, "config.toml:1:1: no")
	_, err = h.Reload(ctx)
	wantCode(t, err, task.InvalidArgument)
	if kinds, _ := h.Kinds(ctx); !slices.Equal(names(kinds), []string{"k", "ok"}) {
		t.Errorf("after a refused reload: %v", names(kinds))
	}
	refusal = nil
	result, err := h.Reload(ctx)
	if err != nil || cmp.Diff([]string{"kinds"}, result.Changed) != "" {
		t.Errorf("%v, %v", result, err)
	}
	if kinds, _ := h.Kinds(ctx); !slices.Equal(names(kinds), []string{"new", "ok"}) {
		t.Errorf("after a reload: %v", names(kinds))
	}
	_, err = h.Submit(ctx, task.Spec{Kind: "k"}, "")
	wantCode(t, err, task.InvalidArgument)
	close(release)
	if end := h.wait(first.ID); end.Status != task.StatusCompleted {
		t.Errorf("the running one ended %s", end.Status)
	}
	if got := h.awaitState(second.ID, func(t task.Task) bool { return t.Phase == task.PhasePaused }); got.Reason != task.ReasonKindUnknown {
		t.Errorf("the waiting one: %s", got.Reason)
	}
	h.wait(h.submit(task.Spec{Kind: "new-alias"}).ID)
	for {
		ev, err := events.Next()
		if err != nil {
			t.Fatal(err)
		}
		if ev.Type == task.EventKinds {
			if ev.TaskID != "" || ev.Cursor == "" {
				t.Errorf("%+v", ev)
			}
			break
		}
	}
	next = nil
	if result, err := h.Reload(ctx); err != nil || len(result.Changed) != 1 {
		t.Errorf("%v, %v", result, err)
	}
	if kinds, _ := h.Kinds(ctx); len(kinds) != 2 {
		t.Errorf("unchanged kinds are gone: %v", names(kinds))
	}
	if info, err := h.Info(ctx); err != nil || !slices.Contains(info.Capabilities, task.CapReload) {
		t.Errorf("%v, %v", info.Capabilities, err)
	}
}

func TestReloadTellsNothingAsAnEmptyList(t *testing.T) {
	h := newHouse(t, ok)
	h.tune = func(c *engine.Config) {
		c.Reload = func(context.Context) ([]job.Kind, []string, error) { return nil, nil, nil }
	}
	h.up()
	result, err := h.Reload(t.Context())
	if b, _ := json.Marshal(result); err != nil || string(b) != `{"changed":[]}` {
		t.Errorf("%s, %v", b, err)
	}
	err = h.SetKinds(t.Context(), []job.Kind{ok, ok})
	if kinds, _ := h.Kinds(t.Context()); !errors.Is(err, task.Internal) || len(kinds) != 1 {
		t.Errorf("two of one name: %v, %v", err, names(kinds))
	}
}

func TestWarningsOfTheDaemon(t *testing.T) {
	h := newHouse(t, ok)
	h.tune = func(c *engine.Config) { c.Warnings = func() []string { return []string{"beware"} } }
	h.up()
	if info, err := h.Info(t.Context()); err != nil || !slices.Equal(info.Warnings, []string{"beware"}) {
		t.Errorf("%q, %v", info.Warnings, err)
	}
}
