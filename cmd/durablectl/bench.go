package main

import (
	"context"

	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/bench"
)

// newBench is for those who work on durable.
func newBench(c *cli) *cobra.Command {
	o := bench.Options{Duration: bench.DefaultDuration, Clients: bench.DefaultClients, Rounds: bench.DefaultRounds}
	cmd := &cobra.Command{
		Use:    "bench",
		Hidden: true,
		Short:  "Measure a daemon of its own over its socket",
		Long: `Measure a daemon of its own over its socket, beside a bare handler on the same committer.
The figures mean something on an idle machine only, and on the disk that --dir names.`,
		Args: atMost(0),
		RunE: do(func(ctx context.Context, _ []string) error { return c.bench(ctx, o) }),
	}
	f := cmd.Flags()
	f.StringVar(&o.Dir, "dir", "", "make the folder for it in `DIR` (default: where temporary files go)")
	f.DurationVar(&o.Duration, "duration", o.Duration, "length of one window")
	f.IntSliceVar(&o.Clients, "clients", o.Clients, "numbers of clients that submit at once")
	f.IntVar(&o.Tasks, "tasks", 0, "measure a store with `N` finished tasks too")
	f.IntVar(&o.Rounds, "rounds", o.Rounds, "how often each server has its turn")
	return cmd
}

func (c *cli) bench(ctx context.Context, o bench.Options) error {
	o.Say = c.note
	ctx, stop := lastWill(ctx)
	defer stop()
	r, err := bench.Run(ctx, o)
	if err != nil {
		return err
	}
	return c.print(r, r.Text)
}
