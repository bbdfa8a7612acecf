package main

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"durable/ipc/task"
)

// command is what run is asked to run.
type command struct {
	cwd          string
	env          []string
	shell        bool
	stdin        string
	interactive  bool
	nice         int
	grace        time.Duration
	keepChildren bool
	progress     string
}

func newRun(c *cli) *cobra.Command {
	var (
		sub submission
		run command
	)
	cmd := &cobra.Command{
		Use:   "run [flags] -- CMD [ARG...]",
		Short: "Run a program that goes on without this terminal",
		Long: `Run a program as a task and print the task's number. The program goes on when this program, the
shell and the terminal are gone, and also when the daemon is: its output and its exit status are
kept. It runs in this folder, with this environment. If no daemon runs, one is started.

CMD is run as it is, without a shell, and what follows it belongs to it. With --shell CMD is one
line for the shell.`,
		Example: `  durablectl run -- make -j8
  durablectl run --watch --timeout 2h -e TOKEN -- ./deploy production
  durablectl run --shell 'make && make install'`,
		Args: atLeast("CMD"),
		RunE: do(func(ctx context.Context, args []string) error {
			params, err := run.params(args)
			if err != nil {
				return err
			}
			return c.start(ctx, "command", params, sub)
		}),
	}
	f := cmd.Flags()
	f.SetInterspersed(false) // what follows CMD belongs to it
	f.StringVarP(&run.cwd, "cwd", "C", "", "run in this `FOLDER` (default: this one)")
	f.StringArrayVarP(&run.env, "env", "e", nil, "set `NAME=VALUE`, or NAME to what it is here; may be repeated; values stay secret")
	f.BoolVarP(&run.shell, "shell", "c", false, "CMD is one line for the shell")
	f.StringVar(&run.stdin, "stdin", "", "read input from this `FILE` (default: none)")
	f.BoolVarP(&run.interactive, "interactive", "i", false, "keep the input open for durablectl stdin")
	f.IntVar(&run.nice, "nice", 0, "run with lower priority, 1 to 19")
	f.DurationVar(&run.grace, "grace", 0, "time between the request to end and the end by force (default: 10s)")
	f.BoolVar(&run.keepChildren, "keep-children", false, "leave processes alone that outlive the program")
	f.StringVar(&run.progress, "progress", "", "read progress off its output with this `REGEXP`: groups done, total or percent")
	sub.flags(cmd)
	cmd.MarkFlagsMutuallyExclusive("stdin", "interactive")
	if err := cmd.MarkFlagDirname("cwd"); err != nil {
		panic(err) // no such flag: a slip in this program
	}
	return cmd
}

// params are the kind's parameters. The environment travels whole; what --env names is kept in mind by name as well.
func (r command) params(args []string) (map[string]any, error) {
	cwd := "."
	if r.cwd != "" {
		cwd = r.cwd
	}
	cwd, err := absolute(cwd)
	if err != nil {
		return nil, err
	}
	params := map[string]any{"cwd": cwd, "environ": environ()}
	switch {
	case r.shell && len(args) > 1:
		return nil, usage("--shell takes one line, got %d words", len(args)).WithHint("quote it: durablectl run --shell 'make && make install'")
	case r.shell:
		params["shell"], params["script"] = true, args[0]
	default:
		params["command"] = args
	}
	env, err := environment(r.env)
	if err != nil {
		return nil, err
	}
	if len(env) > 0 {
		params["env"] = env
	}
	return params, r.options(params)
}

// options adds what was asked for besides the program, its folder and its environment.
func (r command) options(params map[string]any) error {
	switch {
	case r.nice < 0 || r.nice > 19:
		return usage("--nice %d: want 0 to 19", r.nice)
	case r.grace < 0:
		return usage("--grace %s: negative", r.grace)
	case r.stdin == "-":
		return usage("--stdin -: what this terminal types is gone with it").
			WithHint("id=$(durablectl run --interactive -- ...), then durablectl stdin $id --close")
	case r.stdin != "":
		path, err := absolute(r.stdin)
		if err != nil {
			return err
		}
		params["stdin"] = path
	case r.interactive:
		params["stdin"] = "open"
	}
	if r.nice > 0 {
		params["nice"] = r.nice
	}
	if r.grace > 0 {
		params["grace"] = r.grace.String()
	}
	if r.keepChildren {
		params["keep_children"] = true
	}
	if r.progress != "" {
		params["progress"] = r.progress
	}
	return nil
}

// environ is this program's environment. On Windows it also has names that begin with "=": the shell's own.
func environ() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "=") })
}

// environment reads NAME=VALUE and NAME, which takes the value from here.
func environment(given []string) (map[string]string, error) {
	env := make(map[string]string, len(given))
	for _, v := range given {
		name, value, ok := strings.Cut(v, "=")
		if !ok {
			if value, ok = os.LookupEnv(name); !ok && name != "" {
				return nil, usage("--env %s: there is no such variable here", name).WithHint("--env %s=VALUE gives it one", name)
			}
		}
		if name == "" {
			return nil, usage("--env %q: want NAME=VALUE or NAME", v)
		}
		env[name] = value
	}
	return env, nil
}

// restarts are the words of --restart.
var restarts = []string{
	string(task.RestartOnInterrupt), string(task.RestartOnFailure), string(task.RestartAlways), string(task.RestartNever),
}
