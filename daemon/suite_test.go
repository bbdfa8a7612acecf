package daemon_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"durable/daemon/job/batch"
	commandkind "durable/daemon/job/command"
	"durable/daemon/job/noop"
	"durable/daemon/job/training"
	"durable/ipc/polltest"
	"durable/ipc/task"
)

func noopFor(d time.Duration) task.Spec {
	return task.Spec{Kind: noop.Name, Params: mustJSON(noop.Params{Duration: task.Duration(d)})}
}

func noopSpec(p noop.Params) task.Spec {
	return task.Spec{Kind: noop.Name, Params: mustJSON(p)}
}

func TestSubmitAndGet(t *testing.T) {
	inModes(t, func(r *room) {
		spec := noopSpec(noop.Params{Steps: 3})
		spec.Title, spec.Labels, spec.Priority = "tïtle", map[string]string{"a": "b"}, 7
		made := r.submit(spec)
		queued := made.Status == task.StatusPending && made.Phase == task.PhaseQueued && made.Attempt == 0 // the engine had just come up
		begun := made.Status == task.StatusRunning && made.Phase == task.PhaseRunning && made.Attempt == 1
		if !queued && !begun || made.Number != 1 || made.RootID != made.ID ||
			made.Title != "tïtle" || made.Labels["a"] != "b" || made.Priority != 7 || made.Queue != task.DefaultQueue || made.CreatedAt.IsZero() {
			r.Errorf("submitted: %+v", made)
		}
		done := r.ended(made.ID)
		if done.Status != task.StatusCompleted || done.Outcome != task.OutcomeSucceeded || done.Attempt != 1 ||
			string(done.Result) != `{"steps":3}` || done.CompletedAt == nil || done.StartedAt == nil || done.Progress.Done != 3 {
			r.Errorf("ended: %+v", done)
		}
		id := string(made.ID)
		for _, ref := range []task.Ref{"1", task.Ref(id), task.Ref(id[:13]), task.Ref(id[len(id)-13:]), task.Ref(strings.ToUpper(id)), task.RefLast} {
			got, err := r.Get(r.Context(), ref)
			if diff := cmp.Diff(done, got); err != nil || diff != "" {
				r.Errorf("get %q: %v %s", ref, err, diff)
			}
		}
	})
}

// TestErrors: what is wrong gets the same code everywhere, a message, and where there is a remedy a hint.
func TestErrors(t *testing.T) {
	inModes(t, func(r *room) {
		ctx := r.Context()
		done := r.ended(r.submit(noopFor(0)).ID)
		running := r.running()
		submit := func(s task.Spec) error {
			_, err := r.Submit(ctx, s, "")
			return err
		}
		get := func(ref task.Ref) error {
			_, err := r.Get(ctx, ref)
			return err
		}
		tests := []struct {
			name string
			err  error
			want task.Code
		}{
			{"no kind", submit(task.Spec{}), task.InvalidArgument},
			{"unknown kind", submit(task.Spec{Kind: "nope"}), task.InvalidArgument},
			{"unknown parameter", submit(task.Spec{Kind: noop.Name, Params: json.RawMessage(`{"no":1}`)}), task.InvalidArgument},
			{"negative parameter", submit(noopFor(-1)), task.InvalidArgument},
			{"long title", submit(task.Spec{Kind: noop.Name, Title: strings.Repeat("x", task.MaxTitle+1)}), task.InvalidArgument},
			{"negative timeout", submit(task.Spec{Kind: noop.Name, Timeout: -1}), task.InvalidArgument},
			{"large parameters", submit(task.Spec{Kind: noop.Name, Params: mustJSON(strings.Repeat("x", task.MaxParams))}), task.InvalidArgument},
			{"a later issue's", submit(task.Spec{Kind: noop.Name, Queue: "other"}), task.Unimplemented},
			{"unknown number", get("999"), task.NotFound},
			{"unknown ID", get("019a0000-0000-7000-8000-000000000001"), task.NotFound},
			{"no ref at all", get("what?"), task.InvalidArgument},
			{"cancel what has ended", second(r.Cancel(ctx, done.ID.Ref(), task.CancelRequest{}, "")), task.FailedPrecondition},
			{"retry what runs", second(r.Retry(ctx, running.ID.Ref(), task.RetryRequest{}, "")), task.FailedPrecondition},
			{"forget what runs", r.Forget(ctx, running.ID.Ref()), task.FailedPrecondition},
			{"pause what runs", second(r.Pause(ctx, running.ID.Ref(), "")), task.Unimplemented},
			{"approve what has ended", second(r.Approve(ctx, done.ID.Ref(), task.ApproveRequest{}, "")), task.FailedPrecondition},
			{"answer", second(r.Answer(ctx, done.ID.Ref(), task.AnswerRequest{Question: "q", Answer: json.RawMessage("1")}, "")), task.Unimplemented},
			{"prune by a negative age", second(r.Prune(ctx, task.PruneRequest{OlderThan: -1})), task.InvalidArgument},
			{"prune below nothing", second(r.Prune(ctx, task.PruneRequest{MaxBytes: -1})), task.InvalidArgument},
			{"bad status", second(r.List(ctx, task.ListQuery{Status: []task.Status{"odd"}})), task.InvalidArgument},
			{"bad limit", second(r.List(ctx, task.ListQuery{Limit: task.MaxLimit + 1})), task.InvalidArgument},
			{"bad list cursor", second(r.List(ctx, task.ListQuery{Cursor: "odd"})), task.InvalidArgument},
			{"log of another stream", second(r.Log(ctx, done.ID.Ref(), task.LogQuery{Stream: task.StreamStdout})), task.NotFound},
			{"log of no attempt", second(r.Log(ctx, done.ID.Ref(), task.LogQuery{Attempt: 9})), task.NotFound},
			{"no artifact", third(r.OpenArtifact(ctx, done.ID.Ref(), "x")), task.NotFound},
		}
		for _, tt := range tests {
			e := task.AsError(tt.err)
			if e == nil || e.Code != tt.want || e.Message == "" {
				r.Errorf("%s: %#v, want %s", tt.name, e, tt.want)
			}
		}
		r.cancel(running.ID)
	})
}

func second[T any](_ T, err error) error        { return err }
func third[T, U any](_ T, _ U, err error) error { return err }

func (r *room) cancel(id task.ID) task.Task {
	r.Helper()
	t, err := r.Cancel(r.Context(), id.Ref(), task.CancelRequest{Reason: "because"}, "")
	if err != nil {
		r.Fatalf("cancel: %v", err)
	}
	return t
}

func TestIdempotency(t *testing.T) {
	inModes(t, func(r *room) {
		ctx := r.Context()
		const callers = 16
		ids := make([]task.ID, callers)
		var group sync.WaitGroup
		for i := range callers {
			group.Go(func() {
				made, err := r.Submit(ctx, noopFor(0), "key")
				if err != nil {
					r.Errorf("submit: %v", err)
				}
				ids[i] = made.ID
			})
		}
		group.Wait()
		for _, id := range ids {
			if id != ids[0] {
				r.Fatalf("one key made several tasks: %v", ids)
			}
		}
		if _, err := r.Submit(ctx, noopFor(time.Second), "key"); !errors.Is(err, task.Conflict) {
			r.Errorf("another request under the key: %v, want conflict", err)
		}
		done := r.ended(ids[0])
		again, err := r.Submit(ctx, noopFor(0), "key")
		if diff := cmp.Diff(done, again); err != nil || diff != "" {
			r.Errorf("repeated after the end: %v %s", err, diff)
		}
		r.restart()
		if again, err = r.Submit(ctx, noopFor(0), "key"); err != nil || again.ID != done.ID {
			r.Errorf("repeated after a restart: %s %v", again.ID, err)
		}
		first, err1 := r.Retry(ctx, done.ID.Ref(), task.RetryRequest{}, "key") // keys are scoped by method
		second, err2 := r.Retry(ctx, done.ID.Ref(), task.RetryRequest{}, "key")
		if err1 != nil || err2 != nil || first.ID != second.ID || first.ID == done.ID {
			r.Errorf("retries under one key: %s %v, %s %v", first.ID, err1, second.ID, err2)
		}
		r.ended(first.ID)
		if err := r.Forget(ctx, done.ID.Ref()); err != nil {
			r.Fatal(err)
		}
		if _, err := r.Submit(ctx, noopFor(0), "key"); !errors.Is(err, task.FailedPrecondition) {
			r.Errorf("under the key of a forgotten task: %v, want failed_precondition", err)
		}
		if list, err := r.List(ctx, task.ListQuery{}); err != nil || len(list.Tasks) != 1 {
			r.Errorf("%d tasks are left, want 1: %v", len(list.Tasks), err)
		}
	})
}

func TestList(t *testing.T) {
	inModes(t, func(r *room) {
		ctx := r.Context()
		r.drain(true)
		var want []uint64
		for range 7 {
			want = append([]uint64{r.submit(noopFor(0)).Number}, want...) // newest first
		}
		r.cancel(r.submit(noopFor(0)).ID)
		numbers := func(q task.ListQuery) (got []uint64) {
			for {
				page, err := r.List(ctx, q)
				if err != nil {
					r.Fatalf("list %+v: %v", q, err)
				}
				if q.Limit > 0 && len(page.Tasks) > q.Limit {
					r.Fatalf("a page of %d, limit %d", len(page.Tasks), q.Limit)
				}
				for _, t := range page.Tasks {
					got = append(got, t.Number)
				}
				if q.Cursor = page.NextCursor; q.Cursor == "" {
					return got
				}
			}
		}
		all := append([]uint64{8}, want...)
		pending := []task.Status{task.StatusPending}
		tests := []struct {
			name string
			q    task.ListQuery
			want []uint64
		}{
			{"all", task.ListQuery{}, all},
			{"pages of 3", task.ListQuery{Limit: 3}, all},
			{"pages of 1 by status", task.ListQuery{Status: pending, Limit: 1}, want},
			{"two statuses", task.ListQuery{Status: []task.Status{task.StatusPending, task.StatusCancelled}, Limit: 3}, all},
			{"by kind", task.ListQuery{Kind: noop.Name, Limit: 3}, all},
			{"of no kind", task.ListQuery{Kind: migrationKind}, nil},
			{"ended", task.ListQuery{Order: task.OrderEnded}, []uint64{8}},
			{"failed", task.ListQuery{Status: []task.Status{task.StatusFailed}}, nil},
		}
		for _, tt := range tests {
			if diff := cmp.Diff(tt.want, numbers(tt.q)); diff != "" {
				r.Errorf("%s: %s", tt.name, diff)
			}
		}
		page, err := r.List(ctx, task.ListQuery{Limit: 2})
		if err != nil || page.Total == nil || *page.Total != 8 {
			r.Errorf("total of all: %v %v, want 8", page.Total, err)
		}
		page, err = r.List(ctx, task.ListQuery{Status: pending, Limit: 2})
		if err != nil || page.Total == nil || *page.Total != 7 {
			r.Errorf("total of pending: %v %v, want 7", page.Total, err)
		}
	})
}

func TestWait(t *testing.T) {
	inModes(t, func(r *room) {
		running := r.running()
		for _, timeout := range []time.Duration{-1, 0, 30 * time.Millisecond} {
			got, err := r.Wait(r.Context(), running.ID.Ref(), timeout)
			if err != nil || got.Status != task.StatusRunning || got.Phase != task.PhaseRunning {
				r.Errorf("wait %s: %s (%s) %v", timeout, got.Status, got.Phase, err)
			}
		}
		var group sync.WaitGroup
		for range 5 {
			group.Go(func() {
				if got, err := r.Wait(r.Context(), running.ID.Ref(), patience); err != nil || got.Status != task.StatusCancelled {
					r.Errorf("wait: %s %v", got.Status, err)
				}
			})
		}
		r.cancel(running.ID)
		group.Wait()
	})
}

// TestLog: a panic's stack, by tail, by offset and followed to the end.
func TestLog(t *testing.T) {
	inModes(t, func(r *room) {
		read := func(id task.ID, q task.LogQuery) (task.Log, string) {
			r.Helper()
			log, err := r.Log(r.Context(), id.Ref(), q)
			if err != nil {
				r.Fatalf("log: %v", err)
			}
			defer func() { _ = log.Body.Close() }()
			b, err := io.ReadAll(log.Body)
			if err != nil {
				r.Fatalf("read log: %v", err)
			}
			return log, string(b)
		}
		made := r.submit(noopSpec(noop.Params{Duration: task.Duration(50 * time.Millisecond), Panic: "on purpose"}))
		r.until(made.ID, task.CursorStart, func(ev task.Event) bool { return ev.Type == task.EventStarted })
		_, followed := read(made.ID, task.LogQuery{Follow: true})
		done := r.ended(made.ID)
		if done.Status != task.StatusFailed || done.Error == nil || !strings.Contains(done.Error.Message, "on purpose") {
			r.Errorf("after a panic: %s %+v", done.Status, done.Error)
		}
		log, all := read(made.ID, task.LogQuery{})
		if !log.Ended || log.Attempt != 1 || log.Stream != task.StreamLog || log.Size != int64(len(all)) {
			r.Errorf("log: %+v, %d bytes", log, len(all))
		}
		if !strings.HasPrefix(all, "panic: on purpose\n") || !strings.Contains(all, "noop.go") {
			r.Errorf("the log is no stack: %q", all)
		}
		if followed != all {
			r.Errorf("followed %d bytes, the log has %d", len(followed), len(all))
		}
		if log, part := read(made.ID, task.LogQuery{Offset: 7}); part != all[7:] || log.Offset != 7 {
			r.Errorf("from 7 (%d): %q", log.Offset, part)
		}
		lines := strings.SplitAfter(strings.TrimSuffix(all, "\n"), "\n")
		if _, tail := read(made.ID, task.LogQuery{Tail: 2}); strings.TrimSuffix(tail, "\n") != strings.Join(lines[len(lines)-2:], "") {
			r.Errorf("the last two lines: %q", tail)
		}
		if _, err := r.Log(r.Context(), made.ID.Ref(), task.LogQuery{Offset: 1 << 30}); !errors.Is(err, task.OutOfRange) {
			r.Errorf("beyond the end: %v", err)
		}
	})
}

func TestInfo(t *testing.T) {
	inModes(t, func(r *room) {
		r.ended(r.submit(noopFor(0)).ID)
		info, err := r.Info(r.Context())
		if err != nil || info.API != task.API || info.PID == 0 || info.Counts[task.StatusCompleted] != 1 || info.Slots == 0 || info.Draining {
			r.Errorf("info: %+v %v", info, err)
		}
		if info := r.drain(true); !info.Draining {
			r.Error("drain is not told")
		}
		r.submit(noopFor(0))
		var stats task.Stats
		polltest.True(r.T, patience, "the end is counted, after it is told", func() bool {
			stats, err = r.Stats(r.Context())
			return err != nil || stats.Ended > 0
		})
		if err != nil || stats.Total != 2 || stats.Queued != 1 || stats.Submitted != 2 || stats.Ended != 1 || stats.Commits == 0 || stats.Disk.Store == 0 {
			r.Errorf("stats: %+v %v", stats, err)
		}
		kinds, err := r.Kinds(r.Context())
		if err != nil {
			r.Fatal(err)
		}
		var names []string
		for _, k := range kinds {
			if k.Name != stubbornName { // the process's own
				names = append(names, k.Name)
			}
			if !json.Valid(k.Schema) {
				r.Errorf("%s: the schema is no JSON", k.Name)
			}
		}
		if diff := cmp.Diff([]string{batch.Name, commandkind.Name, migrationKind, training.Name, noop.Name}, names); diff != "" {
			r.Error(diff)
		}
	})
}

// TestBackup: the copy opens and has the tasks; a second one does not overwrite it.
func TestBackup(t *testing.T) {
	inModes(t, func(r *room) {
		for range 5 {
			r.ended(r.submit(noopFor(0)).ID)
		}
		path := filepath.Join(r.TempDir(), storeName)
		got, err := r.Backup(r.Context(), task.BackupRequest{Path: path})
		if err != nil || got.Tasks != 5 || got.Path != path {
			r.Fatalf("backup: %+v %v", got, err)
		}
		before, err := os.ReadFile(path)
		if err != nil || int64(len(before)) != got.Bytes {
			r.Errorf("%d bytes, told %d: %v", len(before), got.Bytes, err)
		}
		checkStore(r.T, filepath.Dir(path))
		if _, err := r.Backup(r.Context(), task.BackupRequest{Path: path}); err == nil {
			r.Error("a backup was overwritten")
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
			r.Errorf("the first backup was touched: %v", err)
		}
		if _, err := r.Backup(r.Context(), task.BackupRequest{Path: "relative"}); !errors.Is(err, task.InvalidArgument) {
			r.Errorf("a relative path: %v", err)
		}
	})
}
