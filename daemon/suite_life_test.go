package daemon_test

import (
	"errors"
	"io"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"durable/daemon/job/noop"
	"durable/ipc/task"
)

func TestCancel(t *testing.T) {
	inModes(t, func(r *room) {
		running := r.running()
		stopping := r.cancel(running.ID)
		if stopping.CancelRequestedAt == nil || stopping.Reason != "because" {
			r.Errorf("cancelled: %+v", stopping)
		}
		done := r.ended(running.ID)
		if done.Status != task.StatusCancelled || done.Outcome != task.OutcomeCancelled || done.CompletedAt == nil {
			r.Errorf("ended: %+v", done)
		}
		if again := r.cancel(running.ID); again.Status != task.StatusCancelled {
			r.Errorf("cancelled twice: %s", again.Status)
		}
		r.drain(true)
		queued := r.cancel(r.submit(noopFor(0)).ID)
		if queued.Status != task.StatusCancelled || queued.Attempt != 0 {
			r.Errorf("cancelled in the queue: %s, attempt %d", queued.Status, queued.Attempt)
		}
		r.restart()
		for _, want := range []task.Task{done, queued} {
			if diff := cmp.Diff(want, r.get(want.ID)); diff != "" {
				r.Errorf("after a restart: %s", diff)
			}
		}
	})
}

// TestRestart: a daemon that leaves interrupts what runs, and the next one goes on from the checkpoint.
func TestRestart(t *testing.T) {
	inModes(t, func(r *room) {
		gate := filepath.Join(r.TempDir(), "gate")
		made := r.submit(noopSpec(noop.Params{Steps: 10, Checkpoint: true, Witness: filepath.Join(r.dir, "witness"), Gate: gate}))
		r.until(made.ID, task.CursorStart, func(ev task.Event) bool { return ev.Type == task.EventCheckpoint })
		r.restart()
		touch(r.T, gate)
		done := r.ended(made.ID)
		if done.Status != task.StatusCompleted || done.Attempt != 2 || string(done.Result) != `{"steps":10}` ||
			len(done.Attempts) != 2 || done.Attempts[0].Outcome != task.OutcomeInterrupted {
			r.Errorf("ended: %+v", done)
		}
		w := &witness{path: filepath.Join(r.dir, "witness")}
		seen, breaches := judge(w.read(r.T))
		if len(breaches) > 0 || seen[string(made.ID)].ended != 10 {
			r.Errorf("witness: %v %+v", breaches, seen[string(made.ID)])
		}
	})
}

func TestRestartNever(t *testing.T) {
	inModes(t, func(r *room) {
		spec := noopFor(time.Hour)
		spec.Restart = task.RestartNever
		made := r.submit(spec)
		r.until(made.ID, task.CursorStart, func(ev task.Event) bool { return ev.Type == task.EventStarted })
		r.restart()
		done := r.ended(made.ID)
		if done.Status != task.StatusFailed || done.Outcome != task.OutcomeInterrupted || done.Reason != task.ReasonRestartNever || done.Error == nil {
			r.Errorf("ended: %+v", done)
		}
	})
}

func TestRetryPolicy(t *testing.T) {
	inModes(t, func(r *room) {
		spec := noopSpec(noop.Params{Fail: "no luck"})
		spec.Retry = &task.Retry{MaxAttempts: 3, Backoff: task.Duration(time.Millisecond)}
		done := r.ended(r.submit(spec).ID)
		if done.Status != task.StatusFailed || done.Attempt != 3 || len(done.Attempts) != 3 || done.Error == nil || done.Error.Message != "no luck" {
			r.Errorf("ended: %+v", done)
		}
	})
}

func TestTimeout(t *testing.T) {
	inModes(t, func(r *room) {
		spec := noopFor(time.Hour)
		spec.Timeout = task.Duration(20 * time.Millisecond)
		done := r.ended(r.submit(spec).ID)
		if done.Status != task.StatusFailed || done.Outcome != task.OutcomeTimedOut {
			r.Errorf("ended: %s %s", done.Status, done.Outcome)
		}
	})
}

func TestRetry(t *testing.T) {
	inModes(t, func(r *room) {
		ctx := r.Context()
		witness := &witness{path: filepath.Join(r.TempDir(), "witness")}
		gate := filepath.Join(r.TempDir(), "gate")
		made := r.submit(noopSpec(noop.Params{Steps: 10, Checkpoint: true, Witness: witness.path, Gate: gate}))
		r.until(made.ID, task.CursorStart, func(ev task.Event) bool { return ev.Type == task.EventCheckpoint })
		r.cancel(made.ID)
		old := r.ended(made.ID)
		again, err := r.Retry(ctx, made.ID.Ref(), task.RetryRequest{}, "")
		if err != nil || again.RetryOf != made.ID || again.RootID != made.RootID || again.ID == made.ID {
			r.Fatalf("retry: %+v %v", again, err)
		}
		if _, err := r.Retry(ctx, made.ID.Ref(), task.RetryRequest{}, ""); !errors.Is(err, task.FailedPrecondition) {
			r.Errorf("a second retry beside the first: %v", err)
		}
		touch(r.T, gate)
		done := r.ended(again.ID)
		if done.Status != task.StatusCompleted || done.Attempt != 1 {
			r.Errorf("retried: %s, attempt %d", done.Status, done.Attempt)
		}
		if now := r.get(made.ID); now.RetriedBy != again.ID || now.Status != old.Status || !now.CompletedAt.Equal(*old.CompletedAt) {
			r.Errorf("the old task: %+v", now)
		}
		lines := witness.read(r.T)
		at := slices.IndexFunc(lines, func(l witnessLine) bool { return l.id == string(again.ID) && l.what == "begin" })
		if at < 0 || lines[at].n == 0 {
			r.Errorf("the retry did not begin at the checkpoint: %+v", lines)
		}
	})
}

func TestPauseAndResume(t *testing.T) {
	inModes(t, func(r *room) {
		ctx := r.Context()
		r.drain(true)
		made := r.submit(noopFor(0))
		paused, err := r.Pause(ctx, made.ID.Ref(), "")
		if err != nil || paused.Status != task.StatusPending || paused.Phase != task.PhasePaused {
			r.Fatalf("pause: %s (%s) %v", paused.Status, paused.Phase, err)
		}
		r.drain(false)
		other := r.ended(r.submit(noopFor(0)).ID) // the queue moves, and passes by what is held
		if got := r.get(made.ID); got.Phase != task.PhasePaused || other.Status != task.StatusCompleted {
			r.Errorf("held: %s (%s)", got.Status, got.Phase)
		}
		if _, err := r.Resume(ctx, made.ID.Ref(), ""); err != nil {
			r.Fatal(err)
		}
		r.ended(made.ID)
	})
}

// TestListThenWatch: what the list does not know yet is in the events after its cursor, all of it, once.
func TestListThenWatch(t *testing.T) {
	inModes(t, func(r *room) {
		first := r.ended(r.submit(noopFor(0)).ID)
		list, err := r.List(r.Context(), task.ListQuery{})
		if err != nil || len(list.Tasks) != 1 || list.Tasks[0].ID != first.ID {
			r.Fatalf("list: %+v %v", list.Tasks, err)
		}
		var want []task.ID
		for range 20 {
			want = append(want, r.submit(noopFor(0)).ID)
		}
		for _, id := range want {
			r.ended(id)
		}
		s, err := r.Events(r.Context(), task.EventQuery{After: list.Cursor})
		if err != nil {
			r.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		var submitted []task.ID
		ends := map[task.ID]int{}
		for {
			ev, err := s.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				r.Fatal(err)
			}
			if ev.Type == task.EventSubmitted {
				submitted = append(submitted, ev.TaskID)
			}
			if ev.Type == task.EventStatus && ev.Task.Status.Terminal() {
				ends[ev.TaskID]++
			}
		}
		if diff := cmp.Diff(want, submitted); diff != "" {
			r.Errorf("submitted: %s", diff)
		}
		for _, id := range want {
			if ends[id] != 1 {
				r.Errorf("task %s: %d ends", id, ends[id])
			}
		}
	})
}

// TestWatch: one task's events in their order, its progress, and nothing of other tasks.
func TestWatch(t *testing.T) {
	inModes(t, func(r *room) {
		r.drain(true)
		gate := filepath.Join(r.TempDir(), "gate") // what an attempt has reported is told only before its end
		made := r.submit(noopSpec(noop.Params{Steps: 3, Checkpoint: true, Gate: gate}))
		other := r.submit(noopFor(0))
		s, err := r.Events(r.Context(), task.EventQuery{After: task.CursorStart, Task: made.ID.Ref(), Follow: true})
		if err != nil {
			r.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		r.drain(false)
		var types []task.EventType
		progress := int64(0)
		for ended := false; !ended; {
			ev, err := s.Next()
			if err != nil {
				r.Fatal(err)
			}
			if ev.TaskID != made.ID {
				r.Errorf("%s of another task", ev.Type)
			}
			if ev.Type == task.EventProgress {
				if ev.Cursor != "" || ev.Task.Progress.Done <= progress {
					r.Errorf("progress %d after %d, cursor %q", ev.Task.Progress.Done, progress, ev.Cursor)
				}
				progress = ev.Task.Progress.Done
				touch(r.T, gate)
				continue
			}
			types = append(types, ev.Type)
			ended = ev.Task.Status.Terminal()
		}
		want := []task.EventType{task.EventSubmitted, task.EventStarted, task.EventCheckpoint, task.EventCheckpoint, task.EventCheckpoint, task.EventStatus}
		if diff := cmp.Diff(want, types); diff != "" || progress == 0 {
			r.Errorf("progress %d, events: %s", progress, diff)
		}
		r.ended(other.ID)
	})
}

// TestEventsAcrossRestart: a cursor of one daemon is good with the next one on the same store, and with no other.
func TestEventsAcrossRestart(t *testing.T) {
	inModes(t, func(r *room) {
		list, err := r.List(r.Context(), task.ListQuery{})
		if err != nil {
			r.Fatal(err)
		}
		made := r.ended(r.submit(noopFor(0)).ID)
		r.restart()
		ev := r.until(made.ID, list.Cursor, func(ev task.Event) bool { return ev.Type == task.EventSubmitted })
		if ev.Task.Number != made.Number {
			r.Errorf("event of task %d, want %d", ev.Task.Number, made.Number)
		}
		for _, cursor := range []task.Cursor{"0000.1", "nonsense", list.Cursor + "999999"} {
			s, err := r.Events(r.Context(), task.EventQuery{After: cursor})
			if err == nil {
				_, err = s.Next()
				_ = s.Close()
			}
			if !errors.Is(err, task.OutOfRange) && !errors.Is(err, task.InvalidArgument) {
				r.Errorf("cursor %q: %v", cursor, err)
			}
		}
	})
}

func TestForget(t *testing.T) {
	inModes(t, func(r *room) {
		ctx := r.Context()
		keep := r.ended(r.submit(noopFor(0)).ID)
		gone := r.ended(r.submit(noopSpec(noop.Params{Panic: "with a log"})).ID)
		if err := r.Forget(ctx, gone.ID.Ref()); err != nil {
			r.Fatal(err)
		}
		if _, err := r.Get(ctx, gone.ID.Ref()); !errors.Is(err, task.NotFound) {
			r.Errorf("get: %v", err)
		}
		if err := r.Forget(ctx, gone.ID.Ref()); !errors.Is(err, task.NotFound) {
			r.Errorf("forget twice: %v", err)
		}
		if left, _ := filepath.Glob(filepath.Join(r.dir, "tasks", string(gone.ID), "*")); len(left) > 0 {
			r.Errorf("its files are still there: %v", left)
		}
		next := r.ended(r.submit(noopFor(0)).ID)
		if next.Number != 3 {
			r.Errorf("number %d, want 3: numbers are never used again", next.Number)
		}
		all, err := listAll(ctx, r)
		if err != nil {
			r.Fatal(err)
		}
		var ids []task.ID
		for id := range all {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		if diff := cmp.Diff([]task.ID{keep.ID, next.ID}, ids); diff != "" {
			r.Error(diff)
		}
	})
}

// TestMigration: the real thing, from CSV into both other formats, and once cancelled and retried.
func TestMigration(t *testing.T) {
	inModes(t, func(r *room) {
		out := r.TempDir()
		rows := makeRows(500)
		source := filepath.Join(out, "source.csv")
		writeCSV(r.T, source, rows)
		for _, name := range []string{"a.db", "b.jsonl"} {
			path := filepath.Join(out, name)
			done := r.ended(r.submit(migrationSpec(source, path, 100)).ID)
			if done.Status != task.StatusCompleted {
				r.Errorf("%s: %s: %v", name, done.Status, done.Error)
			} else if err := sameRows(path, rows); err != nil {
				r.Error(err)
			}
		}
	})
}
