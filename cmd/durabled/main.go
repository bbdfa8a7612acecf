// Command durabled is the daemon that owns the tasks: it keeps them in a store, runs their jobs and
// serves the local API on a socket.
//
// # Design
//
// Wiring only: everything it does is in package daemon. Flags are cobra's, as in durablectl.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"durable/cmd/internal/manpage"
	"durable/daemon"
	"durable/daemon/config"
	"durable/ipc/socket"
	"durable/ipc/task"
)

func main() { os.Exit(Main()) }

// gcPercent lets garbage grow to a few times what lives: that is a few MiB in this program, so the default
// would have it collect a hundred times a second under load. Measured with durablectl bench: a tenth less CPU for
// each submit, 10 MiB more memory under that load, none while idle. GOGC overrides it.
const gcPercent = 400

// Main runs durabled with the process's arguments and returns its exit status.
func Main() int {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	root := &cobra.Command{
		Use: "durabled", Short: "The daemon that owns durable's tasks",
		SilenceErrors: true, SilenceUsage: true, Version: task.Version(),
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.AddCommand(runCommand(), restoreCommand(), checkCommand(), schemaCommand(), floorCommand(), predictCommand())
	root.AddCommand(manpage.Command("8", func() *cobra.Command { return root }))
	if err := root.Execute(); err != nil {
		var status exit
		if errors.As(err, &status) {
			return int(status)
		}
		report(os.Stderr, err)
		var known *task.Error
		if errors.As(err, &known) {
			return max(1, known.Code.ExitStatus())
		}
		return 1
	}
	return 0
}

func report(w io.Writer, err error) {
	_, _ = fmt.Fprintf(w, "durabled: error: %v\n", err)
	if e := task.AsError(err); e.Hint != "" {
		_, _ = fmt.Fprintf(w, "hint: %s\n", e.Hint)
	}
}

func runCommand() *cobra.Command {
	var (
		slots   int
		lives   string
		verbose bool
		system  bool
		logFile string
		http    config.HTTP
	)
	cmd := &cobra.Command{
		Use: "run", Short: "Run the daemon in the foreground", Args: cobra.NoArgs,
		Long: "Run the daemon in the foreground until SIGTERM, SIGINT or durablectl shutdown; SIGHUP makes it\n" +
			"read its configuration anew.\n" +
			"Its state lies where durablectl status says; " + socket.EnvHome + " moves all of it to one folder.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if slots < 0 || slots > maxSlots {
				return task.Errorf(task.InvalidArgument, "--slots %d: want 1 to %d", slots, maxSlots)
			}
			paths, err := pathsOf(system)
			if err != nil {
				return err
			}
			if err := checkHTTP(cmd, http); err != nil {
				return err
			}
			if logFile != "" {
				if err := logTo(logFile); err != nil {
					return err
				}
			}
			level := slog.LevelInfo
			if verbose {
				level = slog.LevelDebug
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			context.AfterFunc(ctx, stop) // a second signal ends the process at once
			reload, unhook := hangups(stop, atTerminal)
			defer unhook()
			log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
			cfg := daemon.Config{
				Paths: paths, Slots: slots, Lives: task.Lives(lives), Reload: reload, Logger: log,
				HTTP: http, Surface: func(svc task.Service) daemon.Surface { return newSurface(svc, log) },
			}
			return serve(ctx, cfg)
		},
	}
	cmd.Flags().IntVar(&slots, "slots", 0, "how many tasks run at once (default 8)")
	cmd.Flags().StringVar(&http.Address, "http", "", "also serve MCP by streamable HTTP at `ADDRESS`, such as 127.0.0.1:8080, under /mcp")
	cmd.Flags().StringVar(&http.Auth, "http-auth", "", "who may come in there: token (durablectl token prints it; default) or none (loopback only)")
	cmd.Flags().BoolVar(&verbose, "debug", false, "log more")
	cmd.Flags().StringVar(&lives, "lives", string(task.LivesForeground), "what ends this daemon, for status")
	cmd.Flags().BoolVar(&system, "system", false, "be the machine's daemon, with its folders")
	cmd.Flags().StringVar(&logFile, "log-file", "", "write the log to `FILE`")
	for _, name := range []string{"lives", "system", "log-file"} {
		_ = cmd.Flags().MarkHidden(name) // said by whoever starts a daemon for somebody
	}
	return cmd
}

// maxSlots bounds --slots: each slot may hold a job's memory and open files.
const maxSlots = 1000

func restoreCommand() *cobra.Command {
	return &cobra.Command{
		Use: "restore BACKUP", Short: "Make a new store of a backup", Args: cobra.ExactArgs(1),
		Long: "Make a new store of a backup, while no daemon runs. Tasks that had not ended come back paused:\n" +
			"what they did since the backup is not known to it. durablectl resume lets each go on.",
		RunE: func(_ *cobra.Command, args []string) error {
			paths, err := socket.DefaultPaths()
			if err != nil {
				return err
			}
			if err := daemon.Restore(paths, args[0]); err != nil {
				return err
			}
			fmt.Printf("restored %s into %s\n", args[0], paths.State)
			return nil
		},
	}
}
