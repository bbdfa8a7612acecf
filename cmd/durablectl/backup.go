package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/render"
	"durable/ipc/task"
)

func newBackup(c *cli) *cobra.Command {
	var secrets bool
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a consistent copy of the task store to a new file",
		Long: `Write a consistent copy of the task store to a new file, while everything goes on.
FILE must not exist yet. The folders with logs and artifacts are not part of it.`,
		Args: exactly("FILE"),
		RunE: do(func(ctx context.Context, args []string) error {
			path, err := absolute(args[0])
			if err != nil {
				return err
			}
			result, err := c.svc.Backup(ctx, task.BackupRequest{Path: path, WithSecrets: secrets})
			if err != nil {
				return err
			}
			return c.print(result, func(render.Screen) string {
				unit := "tasks"
				if result.Tasks == 1 {
					unit = "task"
				}
				return fmt.Sprintf("%s: %s, %s %s\n", render.Clean(result.Path), render.Bytes(result.Bytes), render.Count(int64(result.Tasks)), unit)
			})
		}),
	}
	cmd.Flags().BoolVar(&secrets, "with-secrets", false, "include environment values and passwords")
	return cmd
}
