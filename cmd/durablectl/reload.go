package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/render"
)

func newReload(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Have the daemon read its configuration again",
		Long: `Have the daemon read its configuration, and the environment of your login shell, again. What runs
goes on. A configuration with a mistake changes nothing, and the mistake is shown.`,
		Args: atMost(0),
		RunE: do(func(ctx context.Context, _ []string) error {
			result, err := c.svc.Reload(ctx)
			if err != nil {
				return err
			}
			return c.print(result, func(render.Screen) string {
				if len(result.Changed) == 0 {
					return "nothing has changed\n"
				}
				return "changed: " + render.Clean(strings.Join(result.Changed, ", ")) + "\n"
			})
		}),
	}
}
