package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/render"
	"durable/ipc/task"
)

// artifactList is what is printed with --json, as the API answers it.
type artifactList struct {
	Artifacts []task.Artifact `json:"artifacts"`
}

func newArtifacts(c *cli) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "artifacts TASK [NAME]",
		Short: "List the files that a task left as its result, or print one",
		Long: `List the files that a task left as its result, or print the one called NAME: to stdout, or with --output
into a file, which must not exist yet. Inside a task durablectl self artifact add leaves one.`,
		Example: `  durablectl artifacts 42
  durablectl artifacts 42 report.pdf -o report.pdf`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return exactly("TASK")(cmd, args)
			}
			return atMost(2)(cmd, args)
		},
		ValidArgsFunction: c.completeArtifacts,
		RunE: do(func(ctx context.Context, args []string) error {
			switch {
			case len(args) == 2:
				return c.copyArtifact(ctx, task.Ref(args[0]), args[1], file)
			case file != "":
				return usage("--output: NAME is missing").WithHint("durablectl artifacts %s lists them", args[0])
			}
			return c.listArtifacts(ctx, task.Ref(args[0]))
		}),
	}
	cmd.Flags().StringVarP(&file, "output", "o", "", "write to this new `FILE`")
	return cmd
}

func (c *cli) listArtifacts(ctx context.Context, ref task.Ref) error {
	left, err := c.svc.Artifacts(ctx, ref)
	if err != nil {
		return err
	}
	if len(left) == 0 {
		left = []task.Artifact{}
		c.note("none")
	}
	return c.print(artifactList{left}, func(s render.Screen) string { return s.Artifacts(left) })
}

// copyArtifact prints an artifact, or makes file of it. Half a file does not stay.
func (c *cli) copyArtifact(ctx context.Context, ref task.Ref, name, file string) error {
	_, body, err := c.svc.OpenArtifact(ctx, ref, name)
	if err != nil {
		return err
	}
	defer body.Close()
	if file == "" {
		return writeError(io.Copy(c.out, body))
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return task.Errorf(task.FailedPrecondition, "%s is there already", file).WithHint("remove it first, or name another")
	}
	if err != nil {
		return task.Errorf(task.InvalidArgument, "%w", err)
	}
	_, err = io.Copy(f, body)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(file) // the first error counts
	}
	return failed("copy "+name, err)
}

// completeArtifacts offers tasks, then the names of what one left.
func (c *cli) completeArtifacts(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return c.completeTasks(true)(cmd, args, word)
	}
	svc, ctx, cancel := c.ask(cmd)
	defer cancel()
	left, err := svc.Artifacts(ctx, task.Ref(args[0]))
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	offers := make([]cobra.Completion, len(left))
	for i, a := range left {
		offers[i] = cobra.CompletionWithDesc(a.Name, render.Bytes(a.Size))
	}
	return offers, cobra.ShellCompDirectiveNoFileComp
}
