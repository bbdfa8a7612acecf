package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/render"
	"durable/ipc/task"
)

// versions are those of both sides; Daemon is nil while none runs.
type versions struct {
	Client side  `json:"client"`
	Daemon *side `json:"daemon"`
}

type side struct {
	Version string `json:"version"`
	API     int    `json:"api"`
}

func newVersion(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the versions of this program and of the daemon",
		Args:  atMost(0),
		RunE:  do(func(ctx context.Context, _ []string) error { return c.version(ctx) }),
	}
}

// version does not fail when no daemon runs: one side's version was asked for, too.
func (c *cli) version(ctx context.Context) error {
	v := versions{Client: side{task.Version(), task.API}}
	info, err := c.svc.Info(ctx)
	switch {
	case err == nil:
		v.Daemon = &side{info.Version, info.API}
	case !unreachable(err):
		return err
	}
	return c.print(v, func(render.Screen) string {
		text := fmt.Sprintf("durablectl  %s (API %d)\n", v.Client.Version, v.Client.API)
		if v.Daemon == nil {
			return text + "durabled    not running\n"
		}
		return text + fmt.Sprintf("durabled    %s (API %d)\n", render.Clean(v.Daemon.Version), v.Daemon.API)
	})
}
