package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"durable/ipc/logs"
	"durable/ipc/task"
)

// logQuery is what is read of a task's output, and how it is shown.
type logQuery struct {
	task.LogQuery
	grep  *regexp.Regexp
	times bool
	plain bool
	now   bool // nothing of what is there already
}

func newLogs(c *cli) *cobra.Command {
	var q logQuery
	var grep string
	var cmd *cobra.Command
	cmd = &cobra.Command{
		Use:   "logs TASK",
		Short: "Print what a task has written",
		Long: `Print what a task has written, in its last attempt unless asked otherwise: a command's stdout and
stderr as one text, in the order in which they were written, or with --stream one of them alone, byte for byte.
With --follow, go on until the task has ended, through later attempts too. Ctrl-C ends that, never the task.`,
		Example: `  durablectl logs -f 42
  durablectl logs -f -n 0 42
  durablectl logs 42 --stream stdout > output
  durablectl logs 42 --grep 'error|warning' -n 20 -t`,
		Args:              exactly("TASK"),
		ValidArgsFunction: c.completeTasks(true),
		RunE: do(func(ctx context.Context, args []string) (err error) {
			switch {
			case q.Tail < 0 || q.Tail == 0 && cmd.Flags().Changed("tail") && !q.Follow:
				return usage("--tail %d: want 1 or more, or 0 with --follow for what is written from now on", q.Tail)
			case q.Attempt < 0:
				return usage("--attempt %d: want 1 or more", q.Attempt)
			}
			if grep != "" {
				if q.grep, err = regexp.Compile(grep); err != nil {
					return usage("--grep: %w", err).WithHint("the syntax is RE2's: https://github.com/google/re2/wiki/Syntax")
				}
			}
			q.now = cmd.Flags().Changed("tail") && q.Tail == 0
			return c.logs(ctx, task.Ref(args[0]), q)
		}),
	}
	cmd.Flags().BoolVarP(&q.Follow, "follow", "f", false, "go on with what is written from now on")
	cmd.Flags().IntVarP(&q.Tail, "tail", "n", 0, "only the last lines; 0 with --follow: none of those (default: all)")
	cmd.Flags().StringVar(&grep, "grep", "", "only lines in which this `regexp` matches")
	cmd.Flags().BoolVarP(&q.times, "timestamps", "t", false, "begin each line with the time by which it was written")
	cmd.Flags().BoolVar(&q.plain, "plain", false, "without colours and other escape sequences, without overwritten progress")
	cmd.Flags().IntVar(&q.Attempt, "attempt", 0, "of this attempt, 1 is the first (default: the last)")
	cmd.Flags().StringVar(&q.Stream, "stream", "", "log, stdout or stderr (default: stdout and stderr of a command, else log)")
	offer(cmd, "stream", task.StreamLog, task.StreamStdout, task.StreamStderr)
	return cmd
}

func (c *cli) logs(ctx context.Context, ref task.Ref, q logQuery) error {
	if !q.Follow {
		_, err := c.copyLog(ctx, ref, q)
		return err
	}
	t, err := c.svc.Get(ctx, ref)
	if err != nil {
		return err
	}
	if err := c.followLogs(ctx, t, q); err != nil {
		c.freshLine(ctx)
		return c.looking(ctx, ctx, err, number(t))
	}
	return nil
}

// followLogs copies one attempt's log after the other until the task has ended, or only the attempt
// that was asked for.
func (c *cli) followLogs(ctx context.Context, t task.Task, q logQuery) error {
	seen, only := 0, q.Attempt > 0
	for {
		attempt, err := c.copyLog(ctx, t.ID.Ref(), q)
		missing := !only && errors.Is(err, task.NotFound) // nothing has been written yet
		if only || err != nil && !missing {
			return err
		}
		q.now = false // of a later attempt everything is new
		empty := noAttempt
		if missing {
			empty = q.Attempt
		} else {
			seen, q.Tail = attempt, 0
		}
		t, err = c.nextAttempt(ctx, t, seen, empty)
		if err != nil || t.Attempt <= seen || t.Attempt == empty && t.Status.Terminal() {
			return err
		}
		q.Attempt = t.Attempt
	}
}

// noAttempt is the number of none.
const noAttempt = -1

// copyLog prints what an attempt has written and returns which it was. One stream of which nothing else is asked is
// copied as it is; all else is read line by line.
func (c *cli) copyLog(ctx context.Context, ref task.Ref, q logQuery) (attempt int, err error) {
	if q.grep == nil && !q.times && !q.plain && !q.now {
		log, err := c.svc.Log(ctx, ref, q.LogQuery)
		if err != nil {
			return 0, err
		}
		if q.Stream != "" || log.Stream != task.StreamStdout {
			defer log.Body.Close()
			err := logs.Copy(ctx, c.out, c.svc, ref, log, q.Follow, func(hole logs.Line) {
				c.note("%s", strings.TrimSuffix(hole.Marker(), "\n")) // not among the bytes
			})
			return log.Attempt, logError(ctx, err)
		}
		if err := log.Body.Close(); err != nil {
			return 0, err
		}
		q.Attempt = log.Attempt
	}
	return c.printLog(ctx, ref, q)
}

// printLog prints an attempt's output line by line and returns which attempt it was.
func (c *cli) printLog(ctx context.Context, ref task.Ref, q logQuery) (int, error) {
	r, err := logs.Open(ctx, c.svc, ref, logs.Options{
		Attempt: q.Attempt, Stream: q.Stream, Tail: q.Tail, Follow: q.Follow, FromNow: q.now, Grep: q.grep, Plain: q.plain, Times: q.times,
	})
	if err != nil {
		return 0, err
	}
	defer r.Close()
	p := printer{w: bufio.NewWriterSize(c.out, 32<<10), times: q.times}
	for {
		if r.Waits() {
			if err := p.w.Flush(); err != nil {
				return r.Attempt, writeError(0, err)
			}
		}
		l, err := r.Next()
		if errors.Is(err, io.EOF) {
			return r.Attempt, writeError(0, p.w.Flush())
		}
		if err != nil {
			_ = p.w.Flush() // the first error counts
			return r.Attempt, logError(ctx, err)
		}
		p.print(l)
	}
}

// logError is err as what ended the reading of a log, or the writing of what was read.
func logError(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case task.AsError(err).Code != task.Internal:
		return err
	}
	return writeError(0, err)
}

// printer writes lines, of which some come in parts and in between those of another stream. The writer keeps its
// error until it is flushed.
type printer struct {
	w      *bufio.Writer
	times  bool
	stream string // of the line before
	half   bool   // it has no end yet
}

func (p *printer) print(l logs.Line) {
	goesOn := p.half && l.Part && l.Stream == p.stream
	if p.half && !goesOn {
		_ = p.w.WriteByte('\n')
	}
	p.stream, p.half = l.Stream, false
	if l.Hole {
		_, _ = p.w.WriteString(l.Marker())
		return
	}
	if p.times && !goesOn {
		_, _ = p.w.WriteString(stamp(l.Time))
	}
	_, _ = p.w.Write(l.Text)
	p.half = len(l.Text) > 0 && l.Text[len(l.Text)-1] != '\n'
}

const stampLayout = "2006-01-02T15:04:05.000Z07:00 "

// stamp is the beginning of a line; blank where nobody knows when that was written.
func stamp(t time.Time) string {
	if t.IsZero() {
		return strings.Repeat(" ", len(stampLayout)-len("07:00"))
	}
	return t.Local().Format(stampLayout)
}

// nextAttempt waits until an attempt after seen has begun, or the task has ended. The attempt empty had no
// log a moment ago: something must have happened before it is worth another look.
func (c *cli) nextAttempt(ctx context.Context, t task.Task, seen, empty int) (task.Task, error) {
	stream, err := c.events(ctx, task.EventQuery{Task: t.ID.Ref(), Follow: true})
	if err != nil {
		return t, err
	}
	defer stream.Close()
	for {
		// Asked after the stream was opened, and again after each event: nothing happens unseen.
		t, err = c.svc.Get(ctx, t.ID.Ref())
		if err != nil || t.Status.Terminal() || t.Attempt > seen && t.Attempt != empty {
			return t, err
		}
		if _, err = stream.Next(); err != nil {
			return t, err
		}
		empty = noAttempt
	}
}
