package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/render"
	"durable/ipc/task"
)

// selection is what list was asked for.
type selection struct {
	all      bool
	limit    int
	statuses []string
	kind     string
}

// endedShown is how many ended tasks are listed unless asked otherwise.
const endedShown = 20

func newList(c *cli) *cobra.Command {
	var sel selection
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List tasks",
		Long:    "List tasks: all that have not ended, then those that ended last.",
		Example: `  durablectl list --status failed
  durablectl list --all --json | jq '.tasks[].number'`,
		Args: atMost(0),
		RunE: do(func(ctx context.Context, _ []string) error { return c.list(ctx, sel) }),
	}
	cmd.Flags().BoolVarP(&sel.all, "all", "a", false, "all tasks, however many")
	cmd.Flags().IntVarP(&sel.limit, "limit", "n", endedShown, "how many ended tasks at most")
	cmd.Flags().StringSliceVarP(&sel.statuses, "status", "s", nil, "only these: "+strings.Join(statusWords(), ", "))
	cmd.Flags().StringVarP(&sel.kind, "kind", "k", "", "only tasks of this kind")
	cmd.MarkFlagsMutuallyExclusive("all", "limit")
	offer(cmd, "status", statusWords()...)
	mustRegister(cmd, "kind", c.completeKinds)
	return cmd
}

func (c *cli) list(ctx context.Context, sel selection) error {
	list, err := c.selected(ctx, sel)
	if err != nil {
		return err
	}
	if c.json {
		return c.encode(list)
	}
	if len(list.Tasks) == 0 && c.screen.Terminal() {
		c.note("no tasks")
		return nil
	}
	if err := c.write(c.draw().List(list.Tasks)); err != nil {
		return err
	}
	if list.NextCursor != "" && c.screen.Terminal() {
		c.note("older ones: durablectl list --all")
	}
	return nil
}

// selected reads the tasks in two parts, those that have not ended and those that have, as one list. Its
// place in the journal is that of the first part, so that who goes on from there misses nothing.
func (c *cli) selected(ctx context.Context, sel selection) (task.TaskList, error) {
	if sel.limit < 0 {
		return task.TaskList{}, usage("--limit %d: want 0 or more", sel.limit)
	}
	unfinished, ended, err := sel.split()
	if err != nil {
		return task.TaskList{}, err
	}
	whole := task.TaskList{Tasks: []task.Task{}}
	if len(unfinished) > 0 {
		q := task.ListQuery{Status: unfinished, Kind: render.KindName(sel.kind)}
		if err := c.pages(ctx, q, -1, &whole); err != nil {
			return task.TaskList{}, err
		}
	}
	limit := sel.limit
	if sel.all {
		limit = -1
	}
	if len(ended) > 0 && limit != 0 {
		q := task.ListQuery{Status: ended, Kind: render.KindName(sel.kind), Order: task.OrderEnded}
		if err := c.pages(ctx, q, limit, &whole); err != nil {
			return task.TaskList{}, err
		}
	}
	return whole, nil
}

// split returns the statuses asked for (all, if none was), those that are not final apart.
func (sel selection) split() (unfinished, ended []task.Status, err error) {
	if len(sel.statuses) == 0 {
		return task.Unfinished, task.Ended, nil
	}
	for _, word := range sel.statuses {
		switch s := task.Status(strings.ToLower(word)); {
		case !s.Valid():
			return nil, nil, usage("status %q is not known", word).WithHint("one of %s", strings.Join(statusWords(), ", "))
		case s.Terminal():
			ended = append(ended, s)
		default:
			unfinished = append(unfinished, s)
		}
	}
	return slices.Compact(unfinished), slices.Compact(ended), nil
}

// pages appends to whole what q finds, limit tasks at most; less than 0 is no limit.
func (c *cli) pages(ctx context.Context, q task.ListQuery, limit int, whole *task.TaskList) error {
	first := true
	for left := limit; left != 0; {
		q.Limit = task.MaxLimit
		if left > 0 {
			q.Limit = min(left, task.MaxLimit)
		}
		page, err := c.svc.List(ctx, q)
		if err != nil {
			return err
		}
		whole.Tasks = append(whole.Tasks, page.Tasks...)
		if first {
			whole.Total = sum(whole.Total, page.Total, whole.Cursor == "")
			if whole.Cursor == "" {
				whole.Cursor = page.Cursor
			}
			first = false
		}
		whole.NextCursor = page.NextCursor
		if page.NextCursor == "" {
			break
		}
		q.Cursor = page.NextCursor
		if left > 0 {
			left = max(0, left-len(page.Tasks))
		}
	}
	return nil
}

// sum adds the total of another part; without one of them the whole has none.
func sum(total, more *int, first bool) *int {
	if first {
		return more
	}
	if total == nil || more == nil {
		return nil
	}
	n := *total + *more
	return &n
}
