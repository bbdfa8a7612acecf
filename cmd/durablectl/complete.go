package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/render"
	"durable/ipc/task"
)

// completionTimeout is how long a shell's user waits for what the daemon knows, at most.
const completionTimeout = 500 * time.Millisecond

// completionLimit is how many tasks are offered.
const completionLimit = 50

// ask connects for a completion: it never starts a daemon, and errors only leave the list empty.
func (c *cli) ask(cmd *cobra.Command) (task.Service, context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(cmd.Context(), c.completion)
	return c.connect(c.socket, reachNow), ctx, cancel
}

// completeTasks offers the numbers of tasks of these statuses, at most one if single is set.
func (c *cli) completeTasks(single bool, statuses ...task.Status) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if single && len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		svc, ctx, cancel := c.ask(cmd)
		defer cancel()
		list, err := svc.List(ctx, task.ListQuery{Status: statuses, Limit: completionLimit})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var offers []cobra.Completion
		for _, t := range list.Tasks {
			number := fmt.Sprint(t.Number)
			if !slices.Contains(args, number) {
				offers = append(offers, cobra.CompletionWithDesc(number, fmt.Sprintf("%s: %s", t.Status, render.Clean(t.Title))))
			}
		}
		return offers, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// completeKinds offers the kinds that the daemon knows, by the names that people use.
func (c *cli) completeKinds(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	svc, ctx, cancel := c.ask(cmd)
	defer cancel()
	kinds, err := svc.Kinds(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var offers []cobra.Completion
	for _, k := range kinds {
		if own, _, err := cmd.Find([]string{render.Kind(k.Name)}); err == nil && own != cmd {
			continue // a command of its own: offered as such
		}
		offers = append(offers, cobra.CompletionWithDesc(render.Kind(k.Name), aboutKind(k)))
	}
	return offers, cobra.ShellCompDirectiveNoFileComp
}

// aboutKind is what a kind does, in a line.
func aboutKind(k task.KindInfo) string {
	if about := render.FirstLine(k.Description); about != "" && k.UserDefined {
		return about
	}
	return render.FirstLine(k.Title)
}

// completeKindParams offers the parameters of the kind that is to be started.
func (c *cli) completeKindParams(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	svc, ctx, cancel := c.ask(cmd)
	defer cancel()
	kinds, err := svc.Kinds(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	for _, k := range kinds {
		if k.Name == render.KindName(args[0]) {
			return completeParams(properties(k.Schema))(cmd, args, typed)
		}
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// offer sets what a flag's value can be.
func offer(cmd *cobra.Command, flag string, values ...string) {
	mustRegister(cmd, flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// mustRegister panics where the flag does not exist: a slip in this program.
func mustRegister(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err)
	}
}

func statusWords() []string {
	words := make([]string, len(task.Statuses))
	for i, s := range task.Statuses {
		words[i] = string(s)
	}
	return words
}
