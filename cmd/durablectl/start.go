package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/render"
	"durable/ipc/task"
)

// submission is what every kind of task can be started with, besides its parameters.
type submission struct {
	title    string
	labels   []string
	timeout  time.Duration
	retries  int
	restart  string
	priority int
	queue    string
	key      string

	watch, wait bool
}

func (sub *submission) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&sub.title, "title", "", "what people call it (default: made from the parameters)")
	f.StringArrayVarP(&sub.labels, "label", "l", nil, "label `NAME=VALUE`; may be repeated")
	f.DurationVar(&sub.timeout, "timeout", 0, "end an attempt after this time, such as 2h (default: never)")
	f.IntVar(&sub.retries, "retries", 0, "try again up to `N` times when an attempt fails")
	f.StringVar(&sub.restart, "restart", "", "`WHEN` to start it again: on-interrupt (default), on-failure, always, never")
	f.IntVar(&sub.priority, "priority", 0, "tasks of a greater one go first")
	f.StringVar(&sub.queue, "queue", "", "queue to wait in")
	f.StringVar(&sub.key, "idempotency-key", "", "start it once only, however often this is repeated with the same `KEY`")
	f.BoolVarP(&sub.watch, "watch", "w", false, "then follow its progress to the end")
	f.BoolVar(&sub.wait, "wait", false, "then wait for its end")
	cmd.MarkFlagsMutuallyExclusive("watch", "wait")
	offer(cmd, "restart", restarts...)
	cmd.Annotations = map[string]string{bringsWork: ""}
}

func newStart(c *cli) *cobra.Command {
	var (
		sub    submission
		params []string
		body   string
	)
	cmd := &cobra.Command{
		Use:   "start KIND",
		Short: "Start a task",
		Long: `Start a task and print its number. The task goes on when this program, the shell and the
terminal are gone. If no daemon runs, one is started.

durablectl kinds lists the kinds; those below have flags of their own.`,
		Example: `  durablectl start migration orders.csv app.db
  durablectl start noop --param duration=5s --wait`,
		Args:              oneKind,
		ValidArgsFunction: c.completeKinds,

		SuggestionsMinimumDistance: 2,
		RunE: do(func(ctx context.Context, args []string) error {
			given, err := parameters(c.in, body, params)
			if err != nil {
				return err
			}
			return c.start(ctx, render.KindName(args[0]), given, sub)
		}),
	}
	cmd.Flags().StringArrayVarP(&params, "param", "p", nil, "parameter `NAME=VALUE`, VALUE as JSON or as text; may be repeated")
	cmd.Flags().StringVar(&body, "params", "", "all parameters as one `JSON` object; - reads it from stdin")
	sub.flags(cmd)
	mustRegister(cmd, "param", c.completeKindParams)
	cmd.AddCommand(newStartMigration(c))
	cmd.AddCommand(newStartBatch(c))
	cmd.AddCommand(newStartTraining(c))
	addUserKinds(c, cmd)
	cmd.SetFlagErrorFunc(unknownKind)
	return cmd
}

// oneKind wants one KIND. What follows a word that looks like a kind's own command belongs to that.
func oneKind(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		if alike := cmd.SuggestionsFor(args[0]); len(alike) > 0 {
			return usage("unknown kind %q", args[0]).WithHint("did you mean durablectl start %s?", strings.Join(alike, " or "))
		}
	}
	return exactly("KIND")(cmd, args)
}

// unknownKind is err, unless what came before that flag looks like a kind's own command: then the flag is not what is wrong.
func unknownKind(cmd *cobra.Command, err error) error {
	args := cmd.Flags().Args()
	if cmd.Name() != "start" || len(args) == 0 {
		return err
	}
	if alike := cmd.SuggestionsFor(args[0]); len(alike) > 0 {
		return usage("unknown kind %q", args[0]).WithHint("did you mean durablectl start %s?", strings.Join(alike, " or "))
	}
	return usage("kind %q has no flags of its own: %w", args[0], err).
		WithHint("durablectl kinds lists the kinds; give parameters by --param NAME=VALUE")
}

// parameters returns the parameters that --params and --param give together; the latter count more.
func parameters(in io.Reader, body string, params []string) (map[string]any, error) {
	given := map[string]any{}
	if body == "-" {
		read, err := io.ReadAll(io.LimitReader(in, task.MaxParams+1))
		if err != nil {
			return nil, task.Errorf(task.InvalidArgument, "read --params from stdin: %w", err)
		}
		body = string(read)
	}
	if body != "" {
		if err := json.Unmarshal([]byte(body), &given); err != nil || given == nil {
			return nil, usage("--params: not a JSON object: %.60s", body).WithHint(`such as --params '{"duration":"5s"}'`)
		}
	}
	for _, p := range params {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return nil, usage("--param %q: want NAME=VALUE", p)
		}
		given[name] = value
		if json.Valid([]byte(value)) {
			given[name] = json.RawMessage(value)
		}
	}
	return given, nil
}

// spec returns what is asked of the daemon.
func (sub submission) spec(kind string, params map[string]any) (task.Spec, error) {
	raw, err := json.Marshal(params)
	if err != nil {
		return task.Spec{}, usage("parameters: %s", err)
	}
	spec := task.Spec{
		Kind: kind, Title: sub.title, Params: raw,
		Queue: sub.queue, Priority: sub.priority, Timeout: task.Duration(sub.timeout), Restart: task.Restart(sub.restart),
	}
	if sub.retries < 0 {
		return task.Spec{}, usage("--retries %d: want 0 or more", sub.retries)
	}
	if sub.retries > 0 {
		spec.Retry = &task.Retry{MaxAttempts: sub.retries + 1}
	}
	for _, label := range sub.labels {
		name, value, ok := strings.Cut(label, "=")
		if !ok || name == "" {
			return task.Spec{}, usage("--label %q: want NAME=VALUE", label)
		}
		if spec.Labels == nil {
			spec.Labels = map[string]string{}
		}
		spec.Labels[name] = value
	}
	return spec, spec.Validate()
}

// start submits a task and prints its number, alone, so that id=$(durablectl start ...) works; what
// --watch and --wait say besides goes to stderr. With --json one document is printed: the task as
// it was accepted, or, with --wait, as it ended; with --watch, its events.
func (c *cli) start(ctx context.Context, kind string, params map[string]any, sub submission) error {
	spec, err := sub.spec(kind, params)
	if err != nil {
		return err
	}
	t, err := c.svc.Submit(ctx, spec, task.Key(sub.key))
	if err != nil {
		if ctx.Err() != nil {
			c.note("interrupted before the daemon answered: the task may have been accepted; durablectl list")
		}
		return err
	}
	if !c.json {
		if err := c.write(fmt.Sprintln(t.Number)); err != nil {
			return err
		}
		if t.Phase == task.PhaseAwaitingApproval {
			c.note("%s", task.ApprovalNotice(t.Number))
		}
	}
	beside := *c
	if !c.json {
		beside.out, beside.screen = c.err, c.errScreen
	}
	switch {
	case sub.watch:
		return beside.watch(ctx, t.ID.Ref(), 0)
	case sub.wait:
		return beside.wait(ctx, []string{string(t.ID)}, 0)
	case c.json:
		return c.encode(t)
	}
	return nil
}

// verdict returns the exit status that a task's end means: none for a success.
func verdict(t task.Task) error {
	switch t.Status {
	case task.StatusFailed:
		return exit(exitFailed)
	case task.StatusCancelled:
		return exit(exitCancelled)
	}
	return nil
}
