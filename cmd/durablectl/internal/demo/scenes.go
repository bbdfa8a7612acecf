package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"durable/cmd/durablectl/internal/render"
	"durable/ipc/task"
)

// The two files, and when things are killed, in percent of the rows.
const (
	sourceName      = "orders.csv"
	destinationName = "orders.jsonl"
	appDies         = 10
	daemonDies      = 40
)

// data makes the file that is to be migrated.
func (s *story) data(ctx context.Context) error {
	s.scene("The work")
	size, err := writeOrders(s.box.Path(sourceName), s.o.Rows)
	if err != nil {
		return task.Errorf(task.FailedPrecondition, "make %s: %w", sourceName, err)
	}
	if s.batch, err = batchSize(s.box, s.o.Rows); err != nil {
		return task.Errorf(task.FailedPrecondition, "measure the disk: %w", err)
	}
	s.say("A file, made just now: %s, %s rows, %s.\n"+
		"The job: turn it into %s, every row exactly once, in batches of %d rows. That is far\n"+
		"less than it would choose by itself, or it would be over too soon to watch.\n"+
		"All of it happens in %s.",
		sourceName, render.Count(int64(s.o.Rows)), render.Bytes(size), destinationName, s.batch, s.box.Dir)
	return s.pause(ctx)
}

// ask starts the job as an app does.
func (s *story) ask(ctx context.Context) error {
	s.scene("An AI app asks for it")
	s.say("AI apps (Claude, Cursor, VS Code, ...) reach tools through small helper programs, which they\n" +
		"start themselves and talk to in JSON; the rules for that are called MCP. Our helper is\n" +
		"durable-mcp. Here, this demo is the app.")
	if alive, err := s.box.Alive(); err != nil || alive {
		return task.Errorf(task.Internal, "a daemon runs in a folder that is new").WithDetail("cause", err)
	}
	if err := s.pause(ctx); err != nil {
		return err
	}
	if err := s.connect(ctx); err != nil {
		return err
	}
	s.asks("start_data_migration  %s -> %s", sourceName, destinationName)
	began := time.Now()
	a, err := s.app.tool(ctx, "start_data_migration", map[string]any{
		"source_path": s.box.Path(sourceName), "destination_path": s.box.Path(destinationName),
		"batch_size": s.batch,
	})
	if err != nil {
		return err
	}
	took := time.Since(began)
	s.hears(a.Content[0].Text)
	s.id = a.Structured.Task.TaskID
	if uri := "task://status/" + string(s.id); s.id == "" || a.Content[0].Text != uri {
		return task.Errorf(task.Internal, "start_data_migration answered %q, not the task's address", a.Content[0].Text)
	}
	info, err := s.svc.Info(ctx)
	if err != nil {
		return err
	}
	s.saw("Answered in %s, with the address of a task: nobody has to wait for the job.", took.Round(time.Millisecond))
	s.say("The job does not run in durable-mcp. A daemon, durabled (process %d), owns it; none was\n"+
		"running before, so asking for work has started one.", info.PID)
	return nil
}

// connect starts a durable-mcp and shakes hands with it.
func (s *story) connect(ctx context.Context) error {
	h, err := startHost(s.box, s.hears)
	if err != nil {
		return err
	}
	s.app = h
	s.asks("starts durable-mcp (process %d): hello, who are you?", h.pid())
	title, err := h.hello(ctx)
	if err != nil {
		return err
	}
	s.hears(title)
	return nil
}

// killApp kills what the app had started, as the end of the app would.
func (s *story) killApp(ctx context.Context) error {
	t, err := s.await(ctx, func(t task.Summary) bool { return percent(t) >= appDies })
	if err == nil {
		err = unfinished(t)
	}
	if err != nil {
		return err
	}
	pid := s.app.pid()
	if err := s.app.kill(); err != nil {
		return err
	}
	s.app, s.first, s.firstAt = nil, t.Progress, time.Now()
	s.scene("The app dies")
	s.event("At %s: kill -9 durable-mcp (process %d).", standing(t.Progress), pid)
	s.say("As when the app is closed or crashes. A job inside of it would be lost now.")
	return nil
}

// reconnect looks at the task from another app.
func (s *story) reconnect(ctx context.Context) error {
	s.scene("Another app, some time later")
	if err := s.connect(ctx); err != nil {
		return err
	}
	if _, err := s.await(ctx, func(t task.Summary) bool { return t.Progress.Done > s.first.Done }); err != nil {
		return err
	}
	a, err := s.look(ctx)
	if err != nil {
		return err
	}
	if a.Done <= s.first.Done || a.Attempt != 1 {
		return task.Errorf(task.Internal, "the task did not go on without the app: %d rows in attempt %d, %d before",
			a.Done, a.Attempt, s.first.Done)
	}
	s.saw("Further on than when the app died. The job did not notice.")
	return nil
}

// look asks for the task's status over MCP.
func (s *story) look(ctx context.Context) (status, error) {
	s.asks("get_task_status")
	a, err := s.app.tool(ctx, "get_task_status", map[string]any{"task_id": string(s.id)})
	if err != nil {
		return status{}, err
	}
	t := a.Structured.Task
	if t.TaskID != s.id {
		return t, task.Errorf(task.Internal, "get_task_status of %s answered %q", s.id, t.TaskID)
	}
	text := string(t.Status)
	if t.Status == task.StatusRunning {
		text += fmt.Sprintf(", %.0f%%, %s rows", math.Floor(t.Progress), render.Count(t.Done))
	}
	if t.Attempt > 1 {
		text += ", second attempt"
	}
	s.hears(text)
	return t, nil
}

// killDaemon kills the daemon in the middle of the job.
func (s *story) killDaemon(ctx context.Context) error {
	t, err := s.await(ctx, func(t task.Summary) bool { return percent(t) >= daemonDies && s.saved(ctx) })
	if err == nil {
		err = unfinished(t)
	}
	if err != nil {
		return err
	}
	pid, err := s.box.Kill(ctx)
	if err != nil {
		return err
	}
	s.scene("The daemon dies, in the middle of the job")
	s.event("At %s: kill -9 durabled (process %d).", standing(t.Progress), pid)
	if _, err := os.Stat(s.box.Path(destinationName)); err == nil {
		return errTooFast // it had just finished
	}
	s.say("Without a warning. Nothing runs any more. What is left, on disk, is an unfinished copy, and\n" +
		"the place up to which it is known to be good.")
	return s.pause(ctx)
}

// saved reports whether there is a checkpoint with rows in it: one from after the app's death.
func (s *story) saved(ctx context.Context) bool {
	t, err := s.svc.Get(ctx, s.id.Ref())
	return err == nil && t.Checkpoint != nil && t.Checkpoint.At.After(s.firstAt)
}

// comeBack lets the app ask again: that starts the daemon, and that resumes the task.
func (s *story) comeBack(ctx context.Context) error {
	s.scene("It comes back")
	s.say("The app knows nothing of that, and asks as before. Asking starts the daemon again.")
	a, err := s.look(ctx)
	if err != nil {
		return err
	}
	info, err := s.svc.Info(ctx)
	if err != nil {
		return err
	}
	if a.Attempt < 2 { // it is queued again, but not begun
		t, err := s.await(ctx, func(t task.Summary) bool { return t.Attempt > 1 })
		if err == nil && t.Attempt < 2 {
			err = unfinished(t)
		}
		if err != nil {
			return err
		}
		if a, err = s.look(ctx); err != nil {
			return err
		}
	}
	if a.Attempt != 2 {
		return task.Errorf(task.Internal, "the task is in attempt %d, not in its second", a.Attempt)
	}
	s.saw("A new daemon (process %d) has found the task and begun its second attempt.", info.PID)
	return nil
}

// unfinished returns nil if t can still be interrupted.
func unfinished(t task.Summary) error {
	switch {
	case !t.Status.Terminal():
		return nil
	case t.Status == task.StatusCompleted:
		return errTooFast
	}
	return task.Errorf(task.Internal, "the task ended %s: %s", t.Status, t.Error)
}

// result is what a migration answers.
type result struct {
	Migrated    int64 `json:"migrated_records"`
	ResumedFrom int64 `json:"resumed_from"`
}

// finish watches the task to its end.
func (s *story) finish(ctx context.Context) error {
	s.scene("To the end")
	show, done := s.o.Watch()
	_, err := s.follow(ctx, func(at time.Time, t task.Summary) bool {
		show(at, t)
		return false
	})
	done()
	if err != nil {
		return err
	}
	t, err := s.svc.Get(ctx, s.id.Ref())
	if err != nil {
		return err
	}
	var r result
	if t.Status != task.StatusCompleted || json.Unmarshal(t.Result, &r) != nil {
		return task.Errorf(task.Internal, "the task ended %s: %s", t.Status, t.Summary().Error)
	}
	switch {
	case r.ResumedFrom == 0 || r.ResumedFrom >= int64(s.o.Rows):
		return errTooFast // it began anew, or had nothing left to copy: that is not the story
	case r.Migrated != int64(s.o.Rows) || t.Attempt != 2:
		return task.Errorf(task.Internal, "the task says %d rows of %d in attempt %d", r.Migrated, s.o.Rows, t.Attempt)
	}
	s.saw("Completed. The second attempt went on from row %s: what the first one had made safe was\n"+
		"  not done again.", render.Count(r.ResumedFrom))
	return s.pause(ctx)
}

// prove compares the two files.
func (s *story) prove(ctx context.Context) error {
	s.scene("The proof")
	s.say("Not the job's own word: this program now reads both files and compares them row by row.")
	a, err := compare(s.box.Path(sourceName), s.box.Path(destinationName))
	if err != nil {
		return task.Errorf(task.Internal, "compare: %w", err)
	}
	for _, f := range []struct {
		name string
		file
	}{{sourceName, a.source}, {destinationName, a.destination}} {
		s.say("%s %9s rows   SHA-256 of all rows %x...", render.Pad(f.name, len(destinationName)), render.Count(int64(f.rows)), f.sum[:8])
	}
	if !a.exact() || a.source.rows != s.o.Rows {
		return task.Errorf(task.Internal, "the files differ: %d rows lost, %d doubled, %d changed, %d from nowhere; %d of %d written",
			a.lost, a.doubled, a.changed, a.foreign, a.destination.rows, s.o.Rows)
	}
	if s.o.Keep {
		s.say("The files stay in %s, the daemon's own in %s.", s.box.Dir, s.box.Paths.State)
	}
	s.print("\n")
	s.title("The app was killed once, the daemon once. " + render.Count(int64(a.source.rows)) + " rows went in, " +
		render.Count(int64(a.destination.rows)) + " came out:")
	s.title("0 lost, 0 doubled, 0 changed.")
	return ctx.Err()
}

// await follows the task until it is as wanted, or has ended.
func (s *story) await(ctx context.Context, wanted func(task.Summary) bool) (task.Summary, error) {
	return s.follow(ctx, func(_ time.Time, t task.Summary) bool { return wanted(t) })
}

// follow hands each report of the task to f until that says enough, or the task has ended. It listens before it
// asks how the task is, so that nothing can happen unseen in between.
func (s *story) follow(ctx context.Context, enough func(time.Time, task.Summary) bool) (task.Summary, error) {
	stream, err := s.svc.Events(ctx, task.EventQuery{Task: s.id.Ref(), Follow: true})
	if err != nil {
		return task.Summary{}, err
	}
	defer func() { _ = stream.Close() }()
	t, err := s.svc.Get(ctx, s.id.Ref())
	if err != nil {
		return task.Summary{}, err
	}
	last := *t.Summary()
	for at := time.Now(); !enough(at, last) && !last.Status.Terminal(); {
		e, err := stream.Next()
		if err == io.EOF {
			return last, task.Errorf(task.Unavailable, "the daemon ended the stream of events")
		}
		if err != nil {
			return last, err
		}
		if e.Task != nil {
			at, last = e.Time, *e.Task
		}
	}
	return last, nil
}

func percent(t task.Summary) float64 {
	p, _ := t.Progress.Percent()
	return p
}

// standing is "34% (68,000 of 200,000 rows)".
func standing(p task.Progress) string {
	text := render.Percent(p)
	if p.Total != nil {
		text += " (" + render.Count(p.Done) + " of " + render.Count(*p.Total) + " rows)"
	}
	return strings.TrimSpace(text)
}
