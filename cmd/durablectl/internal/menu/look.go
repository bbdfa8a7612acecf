package menu

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"durable/cmd/durablectl/internal/render"
	"durable/ipc/task"
)

const (
	// watched is how long a task is monitored, and how often it is looked at.
	watched  = 10 * time.Second
	interval = time.Second
	// cancelWait is how long a cancel waits for the end of the attempt: its grace is 10 s.
	cancelWait = 15 * time.Second
	// shown is how many tasks a list has, of which shownEnded have ended.
	shown      = 200
	shownEnded = 20
	barWidth   = 20
)

func (m *menu) statistics(ctx context.Context) error {
	st, err := m.Svc.Stats(ctx)
	if err != nil {
		return err
	}
	m.say("Server statistics:\n   Total tasks: %d\n", st.Total)
	for _, line := range []struct {
		name   string
		status task.Status
	}{
		{"Running", task.StatusRunning}, {"Completed", task.StatusCompleted}, {"Failed", task.StatusFailed},
		{"Cancelled", task.StatusCancelled}, {"Pending", task.StatusPending},
	} {
		m.say("   %s: %d\n", line.name, st.Counts[line.status])
	}
	m.say("   Active background tasks: %d\n", st.Active)
	return nil
}

// tasks returns those that have not ended, then the last ones that have.
func (m *menu) tasks(ctx context.Context) ([]task.Task, error) {
	open, err := m.Svc.List(ctx, task.ListQuery{Status: []task.Status{task.StatusPending, task.StatusRunning}, Limit: shown})
	if err != nil {
		return nil, err
	}
	ended, err := m.Svc.List(ctx, task.ListQuery{Status: task.Ended, Order: task.OrderEnded, Limit: shownEnded})
	return append(open.Tasks, ended.Tasks...), err
}

// row is a task in a list.
func row(t task.Task) string {
	return fmt.Sprintf("ID: %s | %-9s | %5.1f%% | %s", t.ID, strings.ToUpper(string(t.Status)), percent(t), message(t))
}

func percent(t task.Task) float64 {
	if t.Status == task.StatusCompleted {
		return 100
	}
	p, _ := t.Progress.Percent()
	return p
}

// message is the job's own last word, or else the state.
func message(t task.Task) string {
	if text := render.Clean(t.Progress.Message); text != "" {
		return text
	}
	return render.State(t.Status, t.Phase, t.Outcome)
}

func (m *menu) list(ctx context.Context) error {
	m.say("Task list:\n")
	tasks, err := m.tasks(ctx)
	if err != nil {
		return err
	}
	if len(tasks) == 0 {
		m.say("   No tasks\n")
	}
	for _, t := range tasks {
		m.say("   %s\n", row(t))
	}
	return nil
}

// pick has the person choose a task; nil: none.
func (m *menu) pick(ctx context.Context) (*task.Task, error) {
	m.say("Available tasks:\n")
	tasks, err := m.tasks(ctx)
	if err != nil {
		return nil, err
	}
	if len(tasks) == 0 {
		m.say("   No tasks available\n")
		return nil, nil
	}
	for i, t := range tasks {
		m.say("   %d. %s\n", i+1, row(t))
	}
	typed, err := m.ask(ctx, fmt.Sprintf("\nSelect a task (1-%d) or press Enter to cancel: ", len(tasks)))
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(typed)
	switch {
	case typed == "":
		m.say("Selection cancelled\n")
		return nil, nil
	case err != nil:
		m.say("Invalid input. Please enter a number\n")
		return nil, nil
	case n < 1 || n > len(tasks):
		m.say("Invalid selection. Please choose between 1 and %d\n", len(tasks))
		return nil, nil
	}
	m.say("Selected task: %s\n", tasks[n-1].ID)
	return &tasks[n-1], nil
}

// monitor looks at a task once a second, and writes a line when its progress has changed.
func (m *menu) monitor(ctx context.Context) error {
	picked, err := m.pick(ctx)
	if picked == nil {
		return err
	}
	m.say("Monitoring task %s...\n", picked.ID)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	last := -1.0
	for deadline := time.Now().Add(watched); time.Now().Before(deadline); {
		t, err := m.Svc.Get(ctx, picked.ID.Ref())
		if err != nil {
			return err
		}
		if p := percent(t); p != last {
			last = p
			m.say("   [%s] %5.1f%% | %s | %s\n", bar(p), p, strings.ToUpper(string(t.Status)), message(t))
		}
		if t.Status.Terminal() {
			m.ended(t)
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	m.say("Timeout for task %s\n", picked.ID)
	return nil
}

func bar(percent float64) string {
	filled := min(barWidth, max(0, int(barWidth*percent/100)))
	return strings.Repeat("█", filled) + strings.Repeat("░", barWidth-filled)
}

func (m *menu) ended(t task.Task) {
	m.say("Task %s: %s\n", t.Status, t.ID)
	switch {
	case t.Status == task.StatusCompleted && len(t.Result) > 0 && string(t.Result) != "null":
		m.say("Results:\n%s", results(t.Result, 4))
	case t.Status == task.StatusFailed && t.Error != nil:
		m.report(t.Error)
	}
}

// results are the members of a JSON object in their order: objects within it are indented, lists are counted.
func results(raw json.RawMessage, indent int) string {
	d := json.NewDecoder(bytes.NewReader(raw))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return strings.Repeat(" ", indent) + render.Clean(string(raw)) + "\n"
	}
	var out strings.Builder
	for d.More() {
		key, err := d.Token()
		var value json.RawMessage
		if err != nil || d.Decode(&value) != nil {
			break // it was valid when it came
		}
		fmt.Fprintf(&out, "%s%s:", strings.Repeat(" ", indent), render.Clean(fmt.Sprint(key)))
		switch value[0] {
		case '{':
			out.WriteString("\n" + results(value, indent+2))
		case '[':
			var list []json.RawMessage
			_ = json.Unmarshal(value, &list)
			fmt.Fprintf(&out, " %d items\n", len(list))
		default:
			var text string
			if value[0] != '"' || json.Unmarshal(value, &text) != nil {
				text = string(value)
			}
			out.WriteString(" " + render.Clean(text) + "\n")
		}
	}
	return out.String()
}

func (m *menu) cancel(ctx context.Context) error {
	picked, err := m.pick(ctx)
	if picked == nil {
		return err
	}
	t, err := m.Svc.Get(ctx, picked.ID.Ref())
	if err == nil && !t.Status.Terminal() {
		t, err = m.Svc.Cancel(ctx, picked.ID.Ref(), task.CancelRequest{Reason: "durablectl menu"}, "")
	} else if err == nil {
		err = task.Errorf(task.FailedPrecondition, "it has ended")
	}
	if errors.Is(err, task.NotFound) || errors.Is(err, task.FailedPrecondition) {
		m.say("Task %s not found or cannot be cancelled\n", picked.ID)
		return nil
	}
	if err != nil {
		return err
	}
	if !t.Status.Terminal() {
		if later, err := m.Svc.Wait(ctx, t.ID.Ref(), cancelWait); err == nil { // the cancel is committed, whatever this says
			t = later
		}
	}
	switch {
	case t.Status == task.StatusCancelled:
		m.say("Task %s cancelled. Status available at: %s\n", t.ID, uri(t.ID))
	case t.Status.Terminal():
		m.say("Task %s not found or cannot be cancelled\n", t.ID)
	default:
		m.say("Task %s is being cancelled. Status available at: %s\n", t.ID, uri(t.ID))
	}
	return nil
}
