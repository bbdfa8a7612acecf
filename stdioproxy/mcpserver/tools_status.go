package mcpserver

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"durable/ipc/task"
)

// defaultListed and maxListed bound list_tasks: a page has to fit into a model's context.
const (
	defaultListed = 20
	maxListed     = 100
)

// taskArg is the argument of every tool that is about one task.
var taskArg = arg{name: "task_id", typ: argRef, required: true, desc: "Number, id, part of an id, or @last"}

func (s *Server) statusTools() []tool {
	return []tool{
		{
			name: "get_task_status", title: "Task status", readOnly: true, args: []arg{taskArg},
			description: "Durable background job: its status, progress, result or error, and what to do next.",
			run:         getStatus,
		},
		{
			name: "list_tasks", title: "List tasks", readOnly: true,
			args: []arg{
				{name: "status", typ: argString, enum: statusWords(), desc: "Default: unfinished first, then the latest ended"},
				{name: "kind", typ: argString},
				{name: "limit", typ: argInteger, min: 1, max: maxListed, desc: fmt.Sprintf("Default %d", defaultListed)},
			},
			description: "Durable background jobs of this machine, also those started in other sessions.",
			run:         listTasks,
		},
		{
			name: "wait_for_task", title: "Wait for task", readOnly: true,
			args: []arg{
				taskArg,
				{name: "timeout_seconds", typ: argInteger, min: 0, max: int64(maxCall / time.Second), desc: "Default 25"},
			},
			description: "Durable background job: waits up to 25 s for its end and says truthfully if it still runs. Do not call it in a loop.",
			run:         waitForTask,
		},
		{
			name: "get_server_stats", title: "Task counts", readOnly: true,
			description: "Durable background jobs: how many there are in each status.",
			run:         getStats,
		},
	}
}

func statusWords() []string {
	words := make([]string, len(task.Statuses))
	for i, s := range task.Statuses {
		words[i] = string(s)
	}
	return words
}

func getStatus(ctx context.Context, c *call) (*reply, error) {
	ref, err := c.ref()
	if err != nil {
		return nil, err
	}
	t, err := c.s.svc.Get(ctx, ref)
	if err != nil {
		return nil, err
	}
	return taskReply(t), nil
}

func listTasks(ctx context.Context, c *call) (*reply, error) {
	limit := int(c.args.int("limit", defaultListed))
	var tasks []task.Task
	var total *int
	var err error
	if status := task.Status(c.args.string("status")); status != "" {
		tasks, total, err = listStatus(ctx, c.s.svc, status, c.args.string("kind"), limit)
	} else {
		tasks, total, err = listAll(ctx, c.s.svc, c.args.string("kind"), limit)
	}
	if err != nil {
		return nil, err
	}
	rows := make([]row, len(tasks))
	lines := make([]string, len(tasks))
	for i, t := range tasks {
		rows[i] = forTool.row(t)
		lines[i] = rows[i].text()
	}
	r := &reply{data: map[string]any{"tasks": rows, "shown": len(rows)}}
	r.text = fmt.Sprintf("shown: %d", len(rows))
	if total != nil {
		r.data["total"] = *total
		r.text += fmt.Sprintf(" of total: %d", *total)
	}
	if len(rows) == 0 {
		return r.said("next", "No tasks."), nil
	}
	r.text += "\n" + strings.Join(lines, "\n")
	return r, nil
}

// listStatus returns the newest tasks in one status, and how many there are in all.
func listStatus(ctx context.Context, svc task.Service, status task.Status, kind string, limit int) ([]task.Task, *int, error) {
	q := task.ListQuery{Status: []task.Status{status}, Kind: kind, Limit: limit}
	if status.Terminal() {
		q.Order = task.OrderEnded
	}
	l, err := svc.List(ctx, q)
	return l.Tasks, l.Total, err
}

// listAll returns the unfinished tasks, newest first, then those that ended last. Where even the
// unfinished are more than limit, those that run are preferred to those that wait.
func listAll(ctx context.Context, svc task.Service, kind string, limit int) ([]task.Task, *int, error) {
	var tasks []task.Task
	total, counted := 0, true
	add := func(q task.ListQuery) error {
		q.Kind, q.Limit = kind, max(1, limit-len(tasks))
		l, err := svc.List(ctx, q)
		if err != nil {
			return err
		}
		tasks = append(tasks, l.Tasks[:min(len(l.Tasks), limit-len(tasks))]...)
		if l.Total == nil {
			counted = false
		} else {
			total += *l.Total
		}
		return nil
	}
	for _, status := range []task.Status{task.StatusRunning, task.StatusPending} {
		if err := add(task.ListQuery{Status: []task.Status{status}}); err != nil {
			return nil, nil, err
		}
	}
	slices.SortStableFunc(tasks, func(a, b task.Task) int { return strings.Compare(string(b.ID), string(a.ID)) })
	if err := add(task.ListQuery{Status: task.Ended, Order: task.OrderEnded}); err != nil {
		return nil, nil, err
	}
	if !counted {
		return tasks, nil, nil
	}
	return tasks, &total, nil
}

func getStats(ctx context.Context, c *call) (*reply, error) {
	st, err := c.s.svc.Stats(ctx)
	if err != nil {
		return nil, err
	}
	data := statsData(st)
	c.say(ctx, "info", "Server statistics: %d total tasks, %d running", st.Total, st.Counts[task.StatusRunning])
	text, err := json.Marshal(data)
	if err != nil {
		return nil, task.Errorf(task.Internal, "encode statistics: %w", err)
	}
	return &reply{lead: string(text), data: data, bare: true}, nil
}

func statsData(st task.Stats) map[string]any {
	data := map[string]any{"total_tasks": st.Total, "active_background_tasks": st.Active}
	for _, s := range task.Statuses {
		data[string(s)+"_tasks"] = st.Counts[s]
	}
	return data
}
