package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/render"
	"durable/install/hosts"
	"durable/ipc/task"
)

// writeFlags are those of the commands that change hosts' files.
type writeFlags struct {
	yes, dryRun bool
	// chosen: a person has just picked these hosts, so that nothing typed means yes.
	chosen bool
}

func (w *writeFlags) register(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&w.yes, "yes", "y", false, "write without asking")
	cmd.Flags().BoolVar(&w.dryRun, "dry-run", false, "only show what would change")
}

// hostChange is what --json prints of a file.
type hostChange struct {
	Host  string `json:"host"`
	Title string `json:"title"`
	File  string `json:"file"`
	// Action is added, changed, removed, deleted (the file), or unchanged.
	Action string `json:"action"`
	// Written is false with --dry-run.
	Written    bool   `json:"written"`
	Afterwards string `json:"afterwards,omitempty"`
}

// mcpWrite adds or removes. What is wrong with one host does not keep the others from being written; the last error is
// returned, those before are reported.
func (c *cli) mcpWrite(ctx context.Context, f hostFlags, w writeFlags, names []string, add bool) error {
	changes, failed, err := c.mcpPlan(ctx, f, names, add)
	if err != nil {
		return err
	}
	done, err := c.mcpApply(ctx, changes, w, add)
	if c.json && len(done) > 0 {
		if err := c.encode(done); err != nil {
			return err
		}
	}
	if err != nil {
		failed = append(failed, task.AsError(err))
	}
	for i, e := range failed {
		if i == len(failed)-1 {
			return e
		}
		c.report(e)
	}
	return nil
}

func (c *cli) mcpPlan(ctx context.Context, f hostFlags, names []string, add bool) (changes []hosts.Change, failed []*task.Error, err error) {
	s, err := c.hostSystem()
	if err != nil {
		return nil, nil, err
	}
	scope, err := f.parse()
	if err != nil {
		return nil, nil, err
	}
	chosen, err := f.chosen(s, scope, names)
	if err != nil {
		return nil, nil, err
	}
	var entry hosts.Entry
	if add {
		if entry, err = mcpEntry(ctx); err != nil {
			return nil, nil, err
		}
	}
	for _, h := range chosen {
		if add && scope == hosts.User && !h.Installed(s) {
			failed = append(failed, task.Errorf(task.FailedPrecondition, "%s is not installed here: there is no %s", h.Title, h.Files(s, scope)[0].Path).
				WithHint("durablectl mcp print %s shows what to paste, wherever it keeps its configuration", h.Name))
			continue
		}
		for _, file := range h.Files(s, scope) {
			change, err := planned(h, file, entry, add)
			if err != nil {
				failed = append(failed, unread(h, err))
				continue
			}
			changes = append(changes, change)
		}
	}
	return changes, failed, nil
}

func planned(h hosts.Host, file hosts.File, entry hosts.Entry, add bool) (hosts.Change, error) {
	if add {
		return hosts.PlanAdd(h, file, entry)
	}
	return hosts.PlanRemove(h, file)
}

// unread says of a file that was left alone how its owner goes on.
func unread(h hosts.Host, err error) *task.Error {
	return task.AsError(fmt.Errorf("%s: %w", h.Title, err)).WithHint("mend it, or paste what durablectl mcp print %s shows", h.Name)
}

// mcpApply shows the changes, asks, and writes.
func (c *cli) mcpApply(ctx context.Context, changes []hosts.Change, w writeFlags, add bool) ([]hostChange, error) {
	var done []hostChange
	var open []*hosts.Change
	for i := range changes {
		change := &changes[i]
		if change.Same() {
			done = append(done, outcome(change, add))
			c.note("%s: %s; %s", change.Host.Title, nothingToDo(add), render.Clean(change.File.Path))
			continue
		}
		open = append(open, change)
		if !c.json {
			if err := c.write(render.Diff(c.draw(), change.File.Path, string(change.Before), string(change.After))); err != nil {
				return done, err
			}
		}
	}
	if w.dryRun || len(open) == 0 {
		for _, change := range open {
			done = append(done, outcome(change, add))
		}
		return done, nil
	}
	if !w.yes {
		if err := c.confirm(ctx, fmt.Sprintf("Write %s?", files(len(open))), w.chosen); err != nil {
			return done, err
		}
	}
	for _, change := range open {
		if err := change.Apply(); err != nil {
			return done, unread(change.Host, err)
		}
		made := outcome(change, add)
		made.Written = true
		done = append(done, made)
		c.note("%s: %s", made.Title, strings.Join(slices.DeleteFunc([]string{made.Action, render.Clean(made.File), made.Afterwards},
			func(s string) bool { return s == "" }), "; "))
	}
	return done, nil
}

func nothingToDo(add bool) string {
	if add {
		return "it is there already"
	}
	return "it is not there"
}

func files(n int) string {
	if n == 1 {
		return "this file"
	}
	return fmt.Sprintf("these %d files", n)
}

func outcome(change *hosts.Change, add bool) hostChange {
	made := hostChange{Host: change.Host.Name, Title: change.Host.Title, File: change.File.Path, Action: "unchanged"}
	switch {
	case change.Same():
		return made
	case add && change.Was == nil:
		made.Action = "added"
	case add:
		made.Action = "changed"
	case change.After == nil:
		made.Action = "deleted"
	default:
		made.Action = "removed"
	}
	if add {
		made.Afterwards = change.Host.Afterwards
	}
	return made
}

// confirm asks a question to which yes lets the command go on; so does nothing, if that is usual.
func (c *cli) confirm(ctx context.Context, question string, usual bool) error {
	if !c.terminal() || c.json {
		return task.Errorf(task.FailedPrecondition, "%s nobody can be asked: the input is not a terminal", question).
			WithHint("--yes goes on without a question; --dry-run only shows what would change")
	}
	choice := map[bool]string{true: "[Y/n]", false: "[y/N]"}[usual]
	if _, err := fmt.Fprintf(c.err, "%s %s ", question, choice); err != nil {
		return writeError(0, err)
	}
	line, err := readLine(ctx, c.in)
	if err != nil {
		return err
	}
	switch answer := strings.ToLower(strings.TrimSpace(line)); {
	case answer == "y", answer == "yes":
		return nil
	case usual && line != "" && answer == "": // an end of the input is no answer
		return nil
	}
	return task.Errorf(task.FailedPrecondition, "nothing was written")
}

// readLine reads what a person types. The reader is left alone when the context ends first: the process ends then.
func readLine(ctx context.Context, in io.Reader) (string, error) {
	type read struct {
		line string
		err  error
	}
	lines := make(chan read, 1)
	go func() {
		line, err := bufio.NewReader(in).ReadString('\n')
		lines <- read{line, err}
	}()
	select {
	case r := <-lines:
		if r.err != nil && r.err != io.EOF {
			return "", task.Errorf(task.FailedPrecondition, "read the answer: %w", r.err)
		}
		return r.line, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
