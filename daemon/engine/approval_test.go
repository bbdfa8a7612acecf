package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"durable/daemon/engine"
	"durable/daemon/job"
	"durable/ipc/task"
)

// strict is a policy that asks whoever comes through MCP, refuses "/forbidden", and remembers.
type strict struct {
	mu         sync.Mutex
	remembered []task.Effect
	broken     error
}

func (p *strict) Judge(caller task.Caller, effects []task.Effect) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ask := false
	for _, e := range effects {
		if e.Program == "/forbidden" {
			return false, task.Errorf(task.PermissionDenied, "never")
		}
		ask = ask || !slices.Contains(p.remembered, e)
	}
	return ask && caller.Via == task.ViaMCP, nil
}

func (p *strict) Remember(effects []task.Effect) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken != nil {
		return p.broken
	}
	p.remembered = append(p.remembered, effects...)
	return nil
}

// runs is a kind whose one effect is to run the program that its parameters name.
func runs(run func(context.Context, *job.Context) (any, error)) script {
	return script{name: "runs", run: run, prepare: func(s task.Spec) (job.Plan, error) {
		var program string
		if err := json.Unmarshal(s.Params, &program); err != nil {
			return job.Plan{}, err
		}
		return job.Plan{Params: s.Params, Effects: effects(program)}, nil
	}}
}

func effects(program string) []task.Effect {
	return []task.Effect{{Act: task.ActRun, Program: program, Folder: "/src"}}
}

func newStrictHouse(t *testing.T, k script) (*house, *strict) {
	p := new(strict)
	h := newHouse(t, k, ok)
	h.tune = func(c *engine.Config) { c.Policy = p }
	return h, p
}

func (h *house) via(door string) context.Context {
	return task.WithCaller(h.t.Context(), task.Caller{UID: -1, Via: door})
}

func (h *house) start(door, program string) task.Task {
	h.t.Helper()
	got, err := h.Submit(h.via(door), task.Spec{Kind: "runs", Params: json.RawMessage(`"` + program + `"`)}, "")
	if err != nil {
		h.t.Fatal(err)
	}
	return got
}

func TestATaskWaitsForAnApproval(t *testing.T) {
	h, p := newStrictHouse(t, runs(ok.run))
	h.slots = 1
	h.up()
	got := h.start(task.ViaMCP, "/bin/make")
	if got.Status != task.StatusPending || got.Phase != task.PhaseAwaitingApproval || got.Approval == nil {
		t.Fatalf("got %+v", got)
	}
	if diff := cmp.Diff(effects("/bin/make"), got.Approval.Effects); diff != "" || got.Approval.ExpiresAt.Sub(got.Approval.AskedAt) != 24*time.Hour {
		t.Errorf("asks for %+v", got.Approval)
	}
	if end := h.wait(h.submit(task.Spec{Kind: "ok"}).ID); end.Status != task.StatusCompleted { // the only slot is free
		t.Errorf("another task ended %s", end.Status)
	}
	if end := h.wait(h.start(task.ViaCLI, "/bin/make").ID); end.Status != task.StatusCompleted || end.Owner.Via != task.ViaCLI {
		t.Errorf("through the CLI: %s", end.Status)
	}
	ctx := t.Context()
	_, err := h.Pause(ctx, got.ID.Ref(), "")
	wantCode(t, err, task.FailedPrecondition)
	_, err = h.Resume(ctx, got.ID.Ref(), "")
	wantCode(t, err, task.FailedPrecondition)
	info, err := h.Info(ctx)
	if err != nil || len(info.Warnings) != 1 || info.Warnings[0] != "1 waits for your approval: durablectl approve 1" || !slices.Contains(info.Capabilities, task.CapApprove) {
		t.Errorf("info: %q, %v, %v", info.Warnings, info.Capabilities, err)
	}

	approved, err := h.Approve(ctx, got.ID.Ref(), task.ApproveRequest{}, "key")
	if err != nil || approved.Phase == task.PhaseAwaitingApproval || approved.Approval != nil {
		t.Fatalf("approve: %+v, %v", approved, err)
	}
	if end := h.wait(got.ID); end.Status != task.StatusCompleted {
		t.Errorf("ended %s", end.Status)
	}
	if _, err := h.Approve(ctx, got.ID.Ref(), task.ApproveRequest{}, "key"); err != nil {
		t.Errorf("the same again: %v", err)
	}
	_, err = h.Approve(ctx, got.ID.Ref(), task.ApproveRequest{}, "")
	wantCode(t, err, task.FailedPrecondition)
	if info, _ := h.Info(ctx); len(info.Warnings) != 0 {
		t.Errorf("warnings: %q", info.Warnings)
	}
	if len(p.remembered) != 0 {
		t.Errorf("remembered %v: it was for once", p.remembered)
	}
}

func TestApproveAlways(t *testing.T) {
	h, p := newStrictHouse(t, runs(ok.run))
	h.up()
	first := h.start(task.ViaMCP, "/bin/make")
	p.broken = task.Errorf(task.FailedPrecondition, "the file cannot be read")
	_, err := h.Approve(t.Context(), first.ID.Ref(), task.ApproveRequest{Always: true}, "")
	wantCode(t, err, task.FailedPrecondition)
	if got := h.get(first.ID); got.Phase != task.PhaseAwaitingApproval {
		t.Errorf("approved though it could not be remembered: %s", got.Phase)
	}
	p.broken = nil
	if _, err := h.Approve(t.Context(), first.ID.Ref(), task.ApproveRequest{Always: true}, ""); err != nil {
		t.Fatal(err)
	}
	h.wait(first.ID)
	if end := h.wait(h.start(task.ViaMCP, "/bin/make").ID); end.Status != task.StatusCompleted {
		t.Errorf("the like of it: %s", end.Status)
	}
	if got := h.start(task.ViaMCP, "/bin/rm"); got.Phase != task.PhaseAwaitingApproval {
		t.Errorf("another: %s", got.Phase)
	}
}

func TestWhatThePolicyForbidsIsNoTask(t *testing.T) {
	h, _ := newStrictHouse(t, runs(ok.run))
	h.up()
	_, err := h.Submit(h.via(task.ViaMCP), task.Spec{Kind: "runs", Params: json.RawMessage(`"/forbidden"`)}, "k")
	wantCode(t, err, task.PermissionDenied)
	if list, err := h.List(t.Context(), task.ListQuery{}); err != nil || len(list.Tasks) != 0 {
		t.Errorf("%+v, %v", list.Tasks, err)
	}
}

// TestARepetitionIsJudgedAnew: whoever may not start it, may not start it again; what one has not begun to do
// does not become allowed by a retry.
func TestARepetitionIsJudgedAnew(t *testing.T) {
	h, p := newStrictHouse(t, runs(func(context.Context, *job.Context) (any, error) { return nil, errors.New("no") }))
	h.up()
	retry := func(door string, id task.ID) task.Task {
		t.Helper()
		got, err := h.Retry(h.via(door), id.Ref(), task.RetryRequest{}, "")
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	mine := h.wait(h.start(task.ViaCLI, "/bin/make").ID)
	again := retry(task.ViaMCP, mine.ID)
	if again.Phase != task.PhaseAwaitingApproval || cmp.Diff(effects("/bin/make"), again.Approval.Effects) != "" {
		t.Errorf("a model repeats what a person did: %s, %+v", again.Phase, again.Approval)
	}
	if got, err := h.Cancel(t.Context(), again.ID.Ref(), task.CancelRequest{}, ""); err != nil || got.Approval != nil {
		t.Errorf("cancel: %+v, %v", got.Approval, err)
	}
	third := retry(task.ViaMCP, again.ID)
	if third.Phase != task.PhaseAwaitingApproval {
		t.Errorf("a retry of what was never allowed: %s", third.Phase)
	}
	if err := p.Remember(effects("/bin/make")); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Cancel(t.Context(), third.ID.Ref(), task.CancelRequest{}, ""); err != nil {
		t.Fatal(err)
	}
	if end := h.wait(retry(task.ViaMCP, third.ID).ID); end.Status != task.StatusFailed {
		t.Errorf("allowed for good: %s", end.Status)
	}
}

// TestNobodyApproves: after a day, the task ends; a restart in between does not give it another one.
func TestNobodyApproves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ran := false
		h, _ := newStrictHouse(t, runs(func(context.Context, *job.Context) (any, error) {
			ran = true
			return nil, nil
		}))
		h.up()
		id := h.start(task.ViaMCP, "/bin/make").ID
		began := time.Now()
		time.Sleep(10 * time.Hour)
		h.down()
		h.up()
		time.Sleep(14*time.Hour - time.Second)
		if got := h.get(id); got.Phase != task.PhaseAwaitingApproval {
			t.Errorf("after %s: %s", time.Since(began), got.Phase)
		}
		end, err := h.Wait(t.Context(), id.Ref(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d < 24*time.Hour || d > 24*time.Hour+time.Second {
			t.Errorf("ended after %s", d)
		}
		if end.Status != task.StatusCancelled || end.Reason != task.ReasonNotApproved || end.Outcome != task.OutcomeCancelled || end.Approval != nil || end.CompletedAt == nil || ran {
			t.Errorf("ended %+v; ran: %v", end, ran)
		}
		_, err = h.Approve(t.Context(), id.Ref(), task.ApproveRequest{}, "")
		if wantCode(t, err, task.FailedPrecondition); !strings.Contains(task.AsError(err).Hint, "retry 1") {
			t.Errorf("hint %q", task.AsError(err).Hint)
		}
		if got, err := h.Retry(h.via(task.ViaMCP), id.Ref(), task.RetryRequest{}, ""); err != nil || got.Phase != task.PhaseAwaitingApproval {
			t.Errorf("retry: %s, %v", got.Phase, err)
		}
		h.down()
	})
}

// TestTimePassesWhileNothingRuns: the end of the wait may come while no daemon is there.
func TestTimePassesWhileNothingRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := newStrictHouse(t, runs(ok.run))
		h.up()
		id := h.start(task.ViaMCP, "/bin/make").ID
		h.down()
		time.Sleep(48 * time.Hour)
		h.up()
		if end := h.wait(id); end.Reason != task.ReasonNotApproved {
			t.Errorf("ended %s, %q", end.Status, end.Reason)
		}
		h.down()
	})
}

func TestManyWaitForAnApproval(t *testing.T) {
	h, _ := newStrictHouse(t, runs(ok.run))
	h.up()
	for range 8 {
		h.start(task.ViaMCP, "/bin/make")
	}
	info, err := h.Info(t.Context())
	if err != nil || len(info.Warnings) != 6 || !strings.HasPrefix(info.Warnings[5], "3 more wait for your approval") {
		t.Errorf("%q, %v", info.Warnings, err)
	}
}

// TestApproveOfWhatWaitsForNone changes nothing.
func TestApproveOfWhatWaitsForNone(t *testing.T) {
	k, running, release := hold("runs")
	defer close(release)
	k.prepare = runs(nil).prepare
	h, p := newStrictHouse(t, k)
	h.up()
	id := h.start(task.ViaCLI, "/bin/make").ID
	<-running
	got, err := h.Approve(t.Context(), id.Ref(), task.ApproveRequest{Always: true}, "")
	if err != nil || got.Status != task.StatusRunning || len(p.remembered) != 1 {
		t.Errorf("%s, %v, %v", got.Status, p.remembered, err)
	}
	_, err = h.Approve(t.Context(), "4711", task.ApproveRequest{Always: true}, "")
	wantCode(t, err, task.NotFound)
}
