package main

import (
	"context"

	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/render"
)

func newStats(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "stats",
		Short: "Print the daemon's figures",
		Args:  atMost(0),
		RunE: do(func(ctx context.Context, _ []string) error {
			stats, err := c.svc.Stats(ctx)
			if err != nil {
				return err
			}
			return c.print(stats, func(s render.Screen) string { return s.Stats(stats) })
		}),
	}
}
