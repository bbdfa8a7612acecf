package main

import (
	"context"

	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/render"
	"durable/ipc/task"
)

// kindList is the API's body.
type kindList struct {
	Kinds []task.KindInfo `json:"kinds"`
}

func newKinds(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "kinds",
		Short: "List the kinds of tasks that the daemon can run",
		Args:  atMost(0),
		RunE: do(func(ctx context.Context, _ []string) error {
			kinds, err := c.svc.Kinds(ctx)
			if err != nil {
				return err
			}
			return c.print(kindList{kinds}, func(s render.Screen) string { return s.Kinds(kinds) })
		}),
	}
}
