package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/render"
	"durable/ipc/task"
)

// What the environment of a program that runs as a task names.
const (
	envProgress    = "DURABLE_PROGRESS"
	envCheckpoints = "DURABLE_CHECKPOINT_DIR"
	envArtifacts   = "DURABLE_ARTIFACTS_DIR"
)

// maxProgressText bounds a message, in bytes: one line is written in one piece, beside those of other processes.
const maxProgressText = 1000

func newSelf(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "self",
		Short: "Inside a task: report progress, keep a position, leave a result",
		Long: `For programs that durablectl run or start_command runs: they report how far they are, keep a position
to go on from after an interruption, and leave files as their result. It works by files in the
folders that the environment of a task names, and needs no daemon.`,
		Example: `  durablectl self progress 40/100 "copying photos"
  tail -1 done.list | durablectl self checkpoint put
  durablectl self artifact add report.pdf`,
		Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	checkpoint := &cobra.Command{
		Use:   "checkpoint",
		Short: "Keep a position for the next attempt",
		Args:  noCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	checkpoint.AddCommand(newCheckpointPut(c), newCheckpointGet(c))
	artifact := &cobra.Command{
		Use:   "artifact",
		Short: "Leave files as the task's result",
		Args:  noCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	artifact.AddCommand(newArtifactAdd())
	cmd.AddCommand(newSelfProgress(), checkpoint, artifact)
	return cmd
}

// inTask returns what a variable of the task's environment names.
func inTask(name string) (string, error) {
	v := os.Getenv(name)
	if v == "" {
		return "", task.Errorf(task.FailedPrecondition, "this is not inside a task: %s is not set", name).
			WithHint("durablectl run -- CMD sets it for CMD and for what that starts")
	}
	return v, nil
}

// reported is "40/100", "40%" or "12.5%".
var reported = regexp.MustCompile(`^(\d+/\d+|\d+(\.\d+)?%)$`)

func newSelfProgress() *cobra.Command {
	return &cobra.Command{
		Use:   "progress DONE/TOTAL|PERCENT% [MESSAGE]",
		Short: "Report how far the task is",
		Args:  atLeast("DONE/TOTAL"),
		RunE: do(func(_ context.Context, args []string) error {
			file, err := inTask(envProgress)
			if err != nil {
				return err
			}
			line, err := progressLine(args[0], strings.Join(args[1:], " "))
			if err != nil {
				return err
			}
			return appendLine(file, line)
		}),
	}
}

// progressLine is the line that the daemon reads.
func progressLine(amount, message string) (string, error) {
	if !reported.MatchString(amount) {
		return "", usage("progress %q: want such as 40/100 or 40%%", amount)
	}
	if done, total, ok := strings.Cut(amount, "/"); ok {
		_, doneErr := strconv.ParseInt(done, 10, 64)
		n, totalErr := strconv.ParseInt(total, 10, 64)
		if doneErr != nil || totalErr != nil || n == 0 {
			return "", usage("progress %q: want such as 40/100 or 40%%", amount)
		}
	}
	message = render.Clean(message)
	if len(message) > maxProgressText {
		message = strings.ToValidUTF8(message[:maxProgressText], "")
	}
	return strings.TrimSpace(amount+" "+message) + "\n", nil
}

// appendLine adds a line in one write, so that those of several processes do not mix.
func appendLine(file, line string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err == nil {
		_, err = f.WriteString(line)
		err = errors.Join(err, f.Close())
	}
	return failed("write progress", err)
}

// failed is err as an error of this command's own doing.
func failed(what string, err error) error {
	if err == nil {
		return nil
	}
	return task.Errorf(task.Internal, "%s: %w", what, err)
}

// plainName refuses what would leave the folder, or hide in it.
func plainName(name string) error {
	if name == "" || name != filepath.Base(name) || strings.HasPrefix(name, ".") || strings.ContainsAny(name, "/\\:\x00") {
		return usage("name %q: want a plain file name", name)
	}
	return nil
}

// named is the file called name (or the one after the first n arguments) in the folder that a variable names.
func named(variable, name string) (string, error) {
	dir, err := inTask(variable)
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, name), plainName(name)
}

const usualCheckpoint = "checkpoint"

func newCheckpointPut(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "put [NAME]",
		Short: "Read a position from stdin and keep it, durable when this returns",
		Args:  atMost(1),
		RunE: do(func(_ context.Context, args []string) error {
			file, err := named(envCheckpoints, argument(args, 0, usualCheckpoint))
			if err != nil {
				return err
			}
			return failed("keep checkpoint", replaceFile(file, 0o600, c.in))
		}),
	}
}

func newCheckpointGet(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "get [NAME]",
		Short: "Print the position that was kept; exit status 3 if there is none",
		Args:  atMost(1),
		RunE: do(func(_ context.Context, args []string) error {
			name := argument(args, 0, usualCheckpoint)
			file, err := named(envCheckpoints, name)
			if err != nil {
				return err
			}
			f, err := os.Open(file)
			if errors.Is(err, fs.ErrNotExist) {
				return task.Errorf(task.NotFound, "no checkpoint %q yet", name).WithHint("durablectl self checkpoint put keeps one")
			}
			if err != nil {
				return failed("read checkpoint", err)
			}
			defer f.Close()
			return writeError(io.Copy(c.out, f))
		}),
	}
}

func newArtifactAdd() *cobra.Command {
	return &cobra.Command{
		Use:   "add FILE [NAME]",
		Short: "Copy a file into the task's results",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return exactly("FILE")(cmd, args)
			}
			return atMost(2)(cmd, args)
		},
		RunE: do(func(_ context.Context, args []string) error {
			file, err := named(envArtifacts, argument(args, 1, filepath.Base(args[0])))
			if err != nil {
				return err
			}
			return addArtifact(args[0], file)
		}),
	}
}

// addArtifact copies: the original may go on changing, a result does not.
func addArtifact(from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return task.Errorf(task.InvalidArgument, "%w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return task.Errorf(task.InvalidArgument, "%w", err)
	case !info.Mode().IsRegular():
		return usage("%s is no file", from).WithHint("pack a folder first: tar czf out.tgz %s", from)
	}
	return failed(fmt.Sprintf("copy %s", from), replaceFile(to, 0o600, f))
}

// argument is the argument at i, or otherwise.
func argument(args []string, i int, otherwise string) string {
	if i < len(args) {
		return args[i]
	}
	return otherwise
}
