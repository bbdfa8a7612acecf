package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/menu"
)

func newMenu(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "menu",
		Short: "Start, watch and cancel tasks by a menu",
		Long: `Start, watch and cancel tasks by a menu of eight choices, as in the tutorial that durable comes
from. Leave it whenever you like: the tasks go on. If no daemon runs, one is started.`,
		Args:        atMost(0),
		Annotations: map[string]string{bringsWork: ""},
		RunE: do(func(ctx context.Context, _ []string) error {
			if c.json {
				return usage("menu is for people: it has no JSON").WithHint("durablectl start and list have --json")
			}
			err := menu.Run(ctx, menu.Options{In: c.in, Out: c.out, Svc: c.svc, Place: source})
			if errors.Is(err, menu.ErrInterrupted) {
				return exit(exitInterrupted)
			}
			return err
		}),
	}
}
