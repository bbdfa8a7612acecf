package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"durable/ipc/task"
)

// The groups under which help lists the commands.
const (
	groupTasks  = "tasks"
	groupDaemon = "daemon"
	groupHosts  = "hosts"
	groupOther  = "other"
)

// bringsWork marks a command for which a daemon that is not there is started.
const bringsWork = "durable:work"

func newRoot(c *cli) *cobra.Command {
	root := &cobra.Command{
		Use:   "durablectl",
		Short: "Start, follow and manage durable background jobs",
		Long: `durablectl starts, follows and manages durable background jobs: work that goes on
when the program that asked for it is gone.

TASK is a number (42), an ID, the unique beginning or ending of one, or @last.

Exit status: 0 done; 1 error; 2 usage; 3 not found; 4 daemon not reachable; 5 refused by state
or policy; 130 interrupted by Ctrl-C. Of wait, watch, --wait and --watch also: 10 a task failed;
11 it was cancelled; 124 --timeout passed and the task still runs.`,
		Example: `  durablectl run -- make -j8
  durablectl start migration orders.csv app.db
  durablectl watch @last`,
		Args:          noCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,

		SuggestionsMinimumDistance: 2,
		SilenceUsage:               true,
		PersistentPreRun: func(cmd *cobra.Command, _ []string) {
			how := reachRunning
			if _, ok := cmd.Annotations[bringsWork]; ok {
				how = reachStart
			}
			c.svc = c.connect(c.socket, how)
		},
	}
	root.PersistentFlags().StringVar(&c.socket, "socket", "", "`path` of the daemon's socket (default: $DURABLE_SOCKET, else the usual one)")
	root.PersistentFlags().BoolVar(&c.json, "json", false, "print JSON, as the API answers it")
	addCommands(c, root)
	return root
}

func addCommands(c *cli, root *cobra.Command) {
	root.AddGroup(
		&cobra.Group{ID: groupTasks, Title: "Tasks:"},
		&cobra.Group{ID: groupDaemon, Title: "Daemon:"},
		&cobra.Group{ID: groupHosts, Title: "Assistants:"},
		&cobra.Group{ID: groupOther, Title: "Other:"},
	)
	root.SetHelpCommandGroupID(groupOther)
	root.SetCompletionCommandGroupID(groupOther)
	add := func(group string, commands ...*cobra.Command) {
		for _, cmd := range commands {
			cmd.GroupID = group
			root.AddCommand(cmd)
		}
	}
	add(groupTasks, newRun(c), newStart(c), newList(c), newStatus(c), newWatch(c), newWait(c), newLogs(c), newArtifacts(c), newPredict(c),
		newStdin(c), newApprove(c), newCancel(c), newPause(c), newResume(c), newRetry(c), newRemove(c), newPrune(c))
	add(groupDaemon, newStats(c), newEvents(c), newKinds(c), newPolicy(c), newReload(c), newToken(c), newBackup(c), newRestart(c), newShutdown(c),
		newService(c), newDoctor(c))
	add(groupHosts, newMCP(c), newSetup(c))
	add(groupOther, newMenu(c), newSelf(c), newDemo(c), newBench(c), newVersion(c))
	add(groupOther, newMan())
}

// do makes a method a command's action. Whatever it returns has a code from here on.
func do(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := f(cmd.Context(), args)
		if err == nil {
			return nil
		}
		if status, ok := err.(exit); ok {
			return status
		}
		return task.AsError(err)
	}
}

// noCommand refuses a word that is no command, and names those that look like it.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := usage("unknown command %q", args[0]).WithHint("durablectl --help lists the commands")
	if alike := cmd.SuggestionsFor(args[0]); len(alike) > 0 {
		err = err.WithHint("did you mean durablectl %s?", strings.Join(alike, " or "))
	}
	return err
}

// exactly wants one argument for each name; atLeast one or more.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usage("%s is missing", names[len(args)]).WithHint("%s", use(cmd))
		case len(args) > len(names):
			return usage("unexpected argument %q", args[len(names)]).WithHint("%s", use(cmd))
		}
		return nil
	}
}

func atLeast(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usage("%s is missing", name).WithHint("%s", use(cmd))
		}
		return nil
	}
}

func atMost(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return usage("unexpected argument %q", args[n]).WithHint("%s", use(cmd))
		}
		return nil
	}
}

func use(cmd *cobra.Command) string { return "usage: " + cmd.UseLine() }
