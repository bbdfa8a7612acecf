package main

import (
	"context"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/demo"
	"durable/ipc/task"
)

// readingTime is the pause between two scenes on a terminal.
const readingTime = 1500 * time.Millisecond

func newDemo(c *cli) *cobra.Command {
	o := demo.Options{Rows: demo.DefaultRows}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch a job survive the end of its app and of its daemon",
		Long: `Watch a job survive the end of its app and of its daemon, on real data, in about 20 seconds.
It happens in a temporary folder with a daemon of its own, and leaves nothing behind.`,
		Args: atMost(0),
		RunE: do(func(ctx context.Context, _ []string) error { return c.demo(ctx, o) }),
	}
	cmd.Flags().IntVar(&o.Rows, "rows", o.Rows, "migrate `N` rows")
	cmd.Flags().BoolVar(&o.Keep, "keep", false, "keep the folder, to look at the files")
	return cmd
}

func (c *cli) demo(ctx context.Context, o demo.Options) error {
	if c.json {
		return usage("demo is for people: it has no JSON").WithHint("durablectl bench --json has figures")
	}
	ctx, stop := lastWill(ctx)
	defer stop()
	o.Out, o.Screen = c.out, c.draw()
	if o.Screen.Terminal() {
		o.Pace = readingTime
	}
	o.Watch = func() (func(time.Time, task.Summary), func()) {
		v := c.view()
		return v.show, func() { v.close(true) }
	}
	err := demo.Run(ctx, o)
	if err != nil && ctx.Err() != nil {
		return exit(exitInterrupted) // it has said so
	}
	return err
}

// lastWill returns a context that ends where this process would otherwise be ended by a signal, besides Ctrl-C: told
// to end, its terminal closed, its reader gone. It is for commands that have started daemons, which would be left
// behind.
func lastWill(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
}
