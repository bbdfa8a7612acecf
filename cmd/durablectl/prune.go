package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/render"
	"durable/ipc/task"
)

func newPrune(c *cli) *cobra.Command {
	var (
		req       task.PruneRequest
		age, size string
	)
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Forget old tasks that have ended, with their logs and artifacts",
		Long: `Forget tasks that have ended, the oldest first, with their logs and artifacts: those that ended longer
ago than --older-than, and as many more as it takes until the rest fits into --max-size. What is not
given is the configuration's ([retention]: 30 days, 10 GiB). The daemon does the same by itself. What
has not ended is never touched.`,
		Example: `  durablectl prune --older-than 7d --dry-run
  durablectl prune --max-size 2GiB`,
		Args: atMost(0),
		RunE: do(func(ctx context.Context, _ []string) error {
			var err error
			if req.OlderThan, err = days("--older-than", age); err != nil {
				return err
			}
			if req.MaxBytes, err = bytesOf("--max-size", size); err != nil {
				return err
			}
			result, err := c.svc.Prune(ctx, req)
			if err != nil {
				return err
			}
			return c.print(result, func(render.Screen) string {
				verb := "removed"
				if req.DryRun {
					verb = "would be removed"
				}
				return fmt.Sprintf("%s, %s %s\n", plural(result.Tasks, "task"), render.Bytes(result.Bytes), verb)
			})
		}),
	}
	f := cmd.Flags()
	f.StringVar(&age, "older-than", "", "`AGE` such as 30d or 12h")
	f.StringVar(&size, "max-size", "", "`SIZE` such as 10GiB")
	f.BoolVar(&req.DryRun, "dry-run", false, "only say what would go")
	return cmd
}

// dayParts finds the days in a duration: Go's have none.
var dayParts = regexp.MustCompile(`^(\d+)d(.*)$`)

// days reads "30d", "1d12h" or "12h"; empty is 0.
func days(flag, text string) (task.Duration, error) {
	if text == "" {
		return 0, nil
	}
	bad := usage("%s %q: want such as 30d or 12h", flag, text)
	rest, whole := text, 0
	if m := dayParts.FindStringSubmatch(text); m != nil {
		n, err := strconv.Atoi(m[1])
		if err != nil || n > 100*365 {
			return 0, bad
		}
		whole, rest = n, m[2]
	}
	d := time.Duration(whole) * 24 * time.Hour
	if rest != "" {
		more, err := time.ParseDuration(rest)
		if err != nil {
			return 0, bad
		}
		d += more
	}
	if d <= 0 {
		return 0, bad
	}
	return task.Duration(d), nil
}

// bytesOf reads "10GiB", "500 MB" or a number of bytes; empty is 0.
func bytesOf(flag, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := humanize.ParseBytes(strings.TrimSpace(text))
	if err != nil || n == 0 || n > 1<<62 {
		return 0, usage("%s %q: want such as 10GiB or 500MB", flag, text)
	}
	return int64(n), nil
}
