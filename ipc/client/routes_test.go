package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"durable/ipc/client"
	"durable/ipc/task"
)

// echo answers every method with a value that has every field set, and records what it was asked.
type echo struct {
	task.UnimplementedService
	mu     sync.Mutex
	got    []any
	caller task.Caller
}

// last returns the arguments and the caller of the last call.
func (e *echo) last() ([]any, task.Caller) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.got, e.caller
}

func (e *echo) saw(ctx context.Context, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.got = args
	e.caller, _ = task.CallerFrom(ctx)
}

var (
	when = time.Date(2026, 11, 22, 20, 0, 0, 123456000, time.UTC)
	eta  = task.Duration(90 * time.Second)
	five = 5

	fullTask = task.Task{
		ID: "019a0000-0000-7000-8000-000000000001", Number: 42, Kind: "command", Title: "títle",
		Status: task.StatusRunning, Phase: task.PhaseRunning, Outcome: task.OutcomeFailed, Reason: "r", Attempt: 2,
		Progress: task.Progress{Done: 1, Total: task.Total(3), Unit: "u", Message: "m", Rate: 0.5, ETA: &eta},
		Result:   json.RawMessage(`{"a":1}`), Error: task.Errorf(task.Conflict, "e").WithHint("h"), LastError: task.Errorf(task.Internal, "l"),
		Params: json.RawMessage(`{"p":[1]}`), Labels: map[string]string{"k": "v"}, Queue: "q", Priority: 3,
		Timeout: eta, Retry: &task.Retry{MaxAttempts: 3, Backoff: eta, MaxBackoff: eta, Lost: true}, Restart: task.RestartNever,
		Owner: task.Owner{UID: 7, Client: "c"}, Host: "h", RetryOf: "a", RootID: "b", ParentID: "c", ScheduleID: "d", DependsOn: []task.ID{"e"},
		Attempts:   []task.Attempt{{Number: 1, StartedAt: when, EndedAt: when, Outcome: task.OutcomeFailed, Error: "x"}},
		Checkpoint: &task.Checkpoint{At: when, Bytes: 9, Attempt: 1},
		Question:   &task.Question{Key: "k", Message: "m", Schema: json.RawMessage(`{}`), AskedAt: when},
		CreatedAt:  when, StartedAt: &when, UpdatedAt: when, CompletedAt: &when, RunAt: &when, NextAttemptAt: &when,
		CancelRequestedAt: &when, ExpiresAt: &when,
	}
	fullSpec = task.Spec{
		Kind: "command", Title: "t", Params: json.RawMessage(`{"p":1}`), Labels: map[string]string{"a": "b"}, Queue: "q", Priority: 1,
		Timeout: eta, Retry: &task.Retry{MaxAttempts: 2}, Restart: task.RestartAlways, RunAt: &when, ParentID: "p", DependsOn: []task.ID{"d"}, ExpiresAt: &when,
	}
	fullInfo = task.Info{
		Version: "v", API: 1, PID: 3, StartedAt: when, Uptime: eta, Lives: task.LivesService,
		Paths: task.Paths{Socket: "s", State: "t", Store: "u", Config: "v"}, Disk: task.Disk{Store: 1, Tasks: 2, Free: 3},
		Capabilities: []task.Capability{task.CapPause}, Counts: map[task.Status]int{task.StatusFailed: 2}, Slots: 4, Active: 1, Draining: true, Warnings: []string{"w"},
	}
	fullStats = task.Stats{Counts: map[task.Status]int{task.StatusRunning: 1}, Total: 1, Active: 1, Slots: 2, Queued: 3, Uptime: eta,
		Submitted: 4, Started: 5, Ended: 6, Commits: 7, Disk: task.Disk{Store: 8}, JournalLen: 9, Subscribers: 10}
	fullKinds = []task.KindInfo{{Name: "n", Alias: "a", Title: "t", Description: "d", Tool: "x", Schema: json.RawMessage(`{"type":"object"}`), UserDefined: true}}
	fullList  = task.TaskList{Tasks: []task.Task{fullTask}, NextCursor: "n", Total: &five, Cursor: "e.9"}
	fullQuery = task.ListQuery{Status: []task.Status{task.StatusFailed, task.StatusRunning}, Kind: "k", Root: "r",
		Labels: map[string]string{"a": "b=c", "d": ""}, Order: task.OrderEnded, Limit: 7, Cursor: "x y&z"}
	fullArtifacts = []task.Artifact{{Name: "a/b c.txt", Size: 5, ModTime: when}}
)

func (e *echo) Info(ctx context.Context) (task.Info, error) { e.saw(ctx); return fullInfo, nil }
func (e *echo) Kinds(ctx context.Context) ([]task.KindInfo, error) {
	e.saw(ctx)
	return fullKinds, nil
}
func (e *echo) Stats(ctx context.Context) (task.Stats, error) { e.saw(ctx); return fullStats, nil }
func (e *echo) Submit(ctx context.Context, s task.Spec, k task.Key) (task.Task, error) {
	e.saw(ctx, s, k)
	return fullTask, nil
}
func (e *echo) Get(ctx context.Context, r task.Ref) (task.Task, error) {
	e.saw(ctx, r)
	return fullTask, nil
}
func (e *echo) List(ctx context.Context, q task.ListQuery) (task.TaskList, error) {
	e.saw(ctx, q)
	return fullList, nil
}
func (e *echo) Wait(ctx context.Context, r task.Ref, d time.Duration) (task.Task, error) {
	e.saw(ctx, r, d > 0)
	ended := fullTask
	ended.Status, ended.Phase = task.StatusCompleted, task.PhaseNone
	return ended, nil
}
func (e *echo) Cancel(ctx context.Context, r task.Ref, q task.CancelRequest, k task.Key) (task.Task, error) {
	e.saw(ctx, r, q, k)
	return fullTask, nil
}
func (e *echo) Pause(ctx context.Context, r task.Ref, k task.Key) (task.Task, error) {
	e.saw(ctx, "pause", r, k)
	return fullTask, nil
}
func (e *echo) Resume(ctx context.Context, r task.Ref, k task.Key) (task.Task, error) {
	e.saw(ctx, "resume", r, k)
	return fullTask, nil
}
func (e *echo) Retry(ctx context.Context, r task.Ref, q task.RetryRequest, k task.Key) (task.Task, error) {
	e.saw(ctx, r, q, k)
	return fullTask, nil
}
func (e *echo) Approve(ctx context.Context, r task.Ref, q task.ApproveRequest, k task.Key) (task.Task, error) {
	e.saw(ctx, r, q, k)
	return fullTask, nil
}
func (e *echo) Answer(ctx context.Context, r task.Ref, q task.AnswerRequest, k task.Key) (task.Task, error) {
	e.saw(ctx, r, q, k)
	return fullTask, nil
}
func (e *echo) Forget(ctx context.Context, r task.Ref) error { e.saw(ctx, "forget", r); return nil }
func (e *echo) Stdin(ctx context.Context, r task.Ref, q task.StdinRequest) (task.StdinState, error) {
	b, err := io.ReadAll(q.Data)
	e.saw(ctx, r, q.Offset, q.Close, string(b))
	return task.StdinState{Offset: 9, Closed: true}, err
}
func (e *echo) Artifacts(ctx context.Context, r task.Ref) ([]task.Artifact, error) {
	e.saw(ctx, "artifacts", r)
	return fullArtifacts, nil
}
func (e *echo) OpenArtifact(ctx context.Context, r task.Ref, name string) (task.Artifact, io.ReadCloser, error) {
	e.saw(ctx, r, name)
	return fullArtifacts[0], io.NopCloser(strings.NewReader("bytes")), nil
}
func (e *echo) Log(ctx context.Context, r task.Ref, q task.LogQuery) (task.Log, error) {
	e.saw(ctx, r, q)
	return task.Log{Stream: "stderr", Attempt: 2, Offset: 10, Size: 15, Ended: true, Body: io.NopCloser(strings.NewReader("lines"))}, nil
}
func (e *echo) Backup(ctx context.Context, q task.BackupRequest) (task.BackupResult, error) {
	e.saw(ctx, q)
	return task.BackupResult{Path: "p", Bytes: 1, Tasks: 2}, nil
}
func (e *echo) Reload(ctx context.Context) (task.ReloadResult, error) {
	e.saw(ctx, "reload")
	return task.ReloadResult{Changed: []string{"c"}}, nil
}
func (e *echo) Drain(ctx context.Context, q task.DrainRequest) (task.Info, error) {
	e.saw(ctx, q)
	return fullInfo, nil
}
func (e *echo) Prune(ctx context.Context, q task.PruneRequest) (task.PruneResult, error) {
	e.saw(ctx, q)
	return task.PruneResult{Tasks: 3, Bytes: 4}, nil
}
func (e *echo) Shutdown(ctx context.Context, q task.ShutdownRequest) error { e.saw(ctx, q); return nil }

// TestEveryRoute sends each method's arguments and answer over the socket and wants both unchanged.
func TestEveryRoute(t *testing.T) {
	const ref, key = task.Ref("42"), task.Key("my-key")
	ended := fullTask
	ended.Status, ended.Phase = task.StatusCompleted, task.PhaseNone
	tests := []struct {
		name string
		call func(context.Context, *client.Client) (any, error)
		sent []any
		want any
	}{
		{"Info", func(ctx context.Context, c *client.Client) (any, error) { return c.Info(ctx) }, nil, fullInfo},
		{"Kinds", func(ctx context.Context, c *client.Client) (any, error) { return c.Kinds(ctx) }, nil, fullKinds},
		{"Stats", func(ctx context.Context, c *client.Client) (any, error) { return c.Stats(ctx) }, nil, fullStats},
		{"Submit", func(ctx context.Context, c *client.Client) (any, error) { return c.Submit(ctx, fullSpec, key) }, []any{fullSpec, key}, fullTask},
		{"Get", func(ctx context.Context, c *client.Client) (any, error) { return c.Get(ctx, "@last") }, []any{task.RefLast}, fullTask},
		{"List", func(ctx context.Context, c *client.Client) (any, error) { return c.List(ctx, fullQuery) }, []any{fullQuery}, fullList},
		{"List all", func(ctx context.Context, c *client.Client) (any, error) { return c.List(ctx, task.ListQuery{}) }, []any{task.ListQuery{}}, fullList},
		{"Wait", func(ctx context.Context, c *client.Client) (any, error) { return c.Wait(ctx, ref, time.Minute) }, []any{ref, true}, ended},
		{"Cancel", func(ctx context.Context, c *client.Client) (any, error) {
			return c.Cancel(ctx, ref, task.CancelRequest{Reason: "why"}, key)
		}, []any{ref, task.CancelRequest{Reason: "why"}, key}, fullTask},
		{"Cancel @last", func(ctx context.Context, c *client.Client) (any, error) {
			return c.Cancel(ctx, "@last", task.CancelRequest{}, key)
		}, []any{fullTask.ID.Ref(), task.CancelRequest{}, key}, fullTask},
		{"Pause", func(ctx context.Context, c *client.Client) (any, error) { return c.Pause(ctx, ref, key) }, []any{"pause", ref, key}, fullTask},
		{"Resume", func(ctx context.Context, c *client.Client) (any, error) { return c.Resume(ctx, ref, key) }, []any{"resume", ref, key}, fullTask},
		{"Retry", func(ctx context.Context, c *client.Client) (any, error) {
			return c.Retry(ctx, ref, task.RetryRequest{Fresh: true}, key)
		}, []any{ref, task.RetryRequest{Fresh: true}, key}, fullTask},
		{"Approve", func(ctx context.Context, c *client.Client) (any, error) {
			return c.Approve(ctx, ref, task.ApproveRequest{Always: true}, key)
		}, []any{ref, task.ApproveRequest{Always: true}, key}, fullTask},
		{"Answer", func(ctx context.Context, c *client.Client) (any, error) {
			return c.Answer(ctx, ref, task.AnswerRequest{Question: "q", Answer: json.RawMessage(`{"yes":true}`)}, key)
		}, []any{ref, task.AnswerRequest{Question: "q", Answer: json.RawMessage(`{"yes":true}`)}, key}, fullTask},
		{"Forget", func(ctx context.Context, c *client.Client) (any, error) { return nil, c.Forget(ctx, ref) }, []any{"forget", ref}, nil},
		{"Stdin", func(ctx context.Context, c *client.Client) (any, error) {
			return c.Stdin(ctx, ref, task.StdinRequest{Offset: 4, Data: strings.NewReader("input"), Close: true})
		}, []any{ref, int64(4), true, "input"}, task.StdinState{Offset: 9, Closed: true}},
		{"Stdin close", func(ctx context.Context, c *client.Client) (any, error) {
			return c.Stdin(ctx, ref, task.StdinRequest{Close: true})
		}, []any{ref, int64(0), true, ""}, task.StdinState{Offset: 9, Closed: true}},
		{"Artifacts", func(ctx context.Context, c *client.Client) (any, error) { return c.Artifacts(ctx, ref) }, []any{"artifacts", ref}, fullArtifacts},
		{"OpenArtifact", openArtifact, []any{ref, "a/b c.txt"}, opened{fullArtifacts[0], "bytes"}},
		{"Log", openLog, []any{ref, task.LogQuery{Stream: "stderr", Attempt: 2, Tail: 3}}, opened{task.Log{Stream: "stderr", Attempt: 2, Offset: 10, Size: 15, Ended: true}, "lines"}},
		{"Backup", func(ctx context.Context, c *client.Client) (any, error) {
			return c.Backup(ctx, task.BackupRequest{Path: "/b", WithSecrets: true})
		}, []any{task.BackupRequest{Path: "/b", WithSecrets: true}}, task.BackupResult{Path: "p", Bytes: 1, Tasks: 2}},
		{"Reload", func(ctx context.Context, c *client.Client) (any, error) { return c.Reload(ctx) }, []any{"reload"}, task.ReloadResult{Changed: []string{"c"}}},
		{"Drain", func(ctx context.Context, c *client.Client) (any, error) {
			return c.Drain(ctx, task.DrainRequest{Resume: true})
		}, []any{task.DrainRequest{Resume: true}}, fullInfo},
		{"Prune", func(ctx context.Context, c *client.Client) (any, error) {
			return c.Prune(ctx, task.PruneRequest{OlderThan: eta, DryRun: true})
		}, []any{task.PruneRequest{OlderThan: eta, DryRun: true}}, task.PruneResult{Tasks: 3, Bytes: 4}},
		{"Shutdown", func(ctx context.Context, c *client.Client) (any, error) {
			return nil, c.Shutdown(ctx, task.ShutdownRequest{Restart: true})
		}, []any{task.ShutdownRequest{Restart: true}}, nil},
	}
	e := &echo{}
	c := serve(t, e).client(client.Options{Name: "tester 1.0"})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.call(within(t), c)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			sent, caller := e.last()
			if diff := cmp.Diff(tt.sent, sent); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
			if caller.Client != "tester 1.0" || caller.PID != os.Getpid() {
				t.Errorf("caller: %+v", caller)
			}
		})
	}
}

// opened is what was opened, and what was in it.
type opened struct {
	What any
	Body string
}

func openArtifact(ctx context.Context, c *client.Client) (any, error) {
	a, body, err := c.OpenArtifact(ctx, "42", "a/b c.txt")
	if err != nil {
		return nil, err
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	return opened{a, string(b)}, err
}

func openLog(ctx context.Context, c *client.Client) (any, error) {
	log, err := c.Log(ctx, "42", task.LogQuery{Stream: "stderr", Attempt: 2, Tail: 3})
	if err != nil {
		return nil, err
	}
	defer log.Body.Close()
	b, err := io.ReadAll(log.Body)
	log.Body = nil
	return opened{log, string(b)}, err
}

// TestUnimplementedEverywhere: what the service lacks is said, by every method.
func TestUnimplementedEverywhere(t *testing.T) {
	ctx := within(t)
	c := serve(t, task.UnimplementedService{}).client(client.Options{})
	calls := map[string]func() error{
		"info":      func() error { _, err := c.Info(ctx); return err },
		"submit":    func() error { _, err := c.Submit(ctx, task.Spec{Kind: "k"}, ""); return err },
		"events":    func() error { _, err := c.Events(ctx, task.EventQuery{}); return err },
		"follow":    func() error { _, err := c.Events(ctx, task.EventQuery{Follow: true}); return err },
		"log":       func() error { _, err := c.Log(ctx, "1", task.LogQuery{}); return err },
		"artifact":  func() error { _, _, err := c.OpenArtifact(ctx, "1", "a"); return err },
		"artifacts": func() error { _, err := c.Artifacts(ctx, "1"); return err },
		"stdin":     func() error { _, err := c.Stdin(ctx, "1", task.StdinRequest{}); return err },
		"forget":    func() error { return c.Forget(ctx, "1") },
		"shutdown":  func() error { return c.Shutdown(ctx, task.ShutdownRequest{}) },
		"pause":     func() error { _, err := c.Pause(ctx, "1", ""); return err },
		"pin":       func() error { _, err := c.Pause(ctx, "@last", ""); return err },
		"wait":      func() error { _, err := c.Wait(ctx, "1", 0); return err },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, task.Unimplemented) {
			t.Errorf("%s: %v, want unimplemented", name, err)
		}
	}
}

// failing fails every Get.
type failing struct {
	task.UnimplementedService
	err error
}

func (f failing) Get(context.Context, task.Ref) (task.Task, error) { return task.Task{}, f.err }

func TestEveryCodeCrossesTheSocket(t *testing.T) {
	for _, code := range task.Codes {
		t.Run(string(code), func(t *testing.T) {
			want := task.Errorf(code, "what happened to 7").WithHint("do this").WithDetail("first", "e.5")
			c := serve(t, failing{err: want}).client(client.Options{DialRetry: client.Never})
			_, err := c.Get(within(t), "7")
			var got *task.Error
			if !errors.As(err, &got) || !errors.Is(err, code) {
				t.Fatalf("%T %v, want %s", err, err, code)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	c := serve(t, failing{err: io.ErrUnexpectedEOF}).client(client.Options{})
	if _, err := c.Get(within(t), "7"); !errors.Is(err, task.Internal) {
		t.Errorf("a foreign error: %v, want internal", err)
	}
}

// TestEventsOfAType: what the daemon would not heed is refused, so that nobody takes all events for those of one type.
func TestEventsOfAType(t *testing.T) {
	c := client.New(client.Options{Socket: "nowhere"})
	defer c.Close()
	if s, err := c.Events(t.Context(), task.EventQuery{Type: task.EventStatus}); !errors.Is(err, task.Unimplemented) {
		t.Errorf("got %v, %v", s, err)
	}
}
