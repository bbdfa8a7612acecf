package render

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"durable/ipc/task"
)

// Overview is what the status page shows.
type Overview struct {
	Info task.Info
	// Running and Ended are tasks: all that run, and those that ended last, the latest first.
	Running, Ended []task.Task
	// Pending are those that wait: for the command to type next, and for what needs a person.
	Pending []task.Task
	// Client is this program's version, Install the command that makes the daemon start at boot; ""
	// if there is none.
	Client, Install string
	// Warnings are our own, beside the daemon's.
	Warnings []string
}

// Lives says how long a daemon lives.
func Lives(l task.Lives, install string) string {
	switch l {
	case task.LivesService:
		return "service (starts at boot)"
	case task.LivesUntilLogout:
		return "until logout" + prefixed(": ", install)
	case task.LivesUntilReboot:
		return "until reboot" + prefixed(": ", install)
	case task.LivesForeground:
		return "in the foreground of a terminal"
	}
	return Clean(string(l))
}

// Status returns the status page.
func (s Screen) Status(o Overview) string {
	var b strings.Builder
	in := o.Info
	b.WriteString(s.awaiting(o.Pending))
	fmt.Fprintf(&b, "%s %s, up %s, %s\n", s.Paint(Bold, "durabled"), Clean(in.Version),
		Duration(time.Duration(in.Uptime)), Lives(in.Lives, o.Install))
	b.WriteString(s.fields([]Field{
		{"folder", in.Paths.State},
		{"disk", fmt.Sprintf("store %s, task files %s, free %s", Bytes(in.Disk.Store), Bytes(in.Disk.Tasks), Bytes(in.Disk.Free))},
		{"tasks", counts(in)},
	}, 0))
	b.WriteString(s.warnings(o))
	b.WriteString(s.running(o.Running))
	b.WriteString(s.waiting(o.Pending))
	b.WriteString(s.ended(o.Ended))
	b.WriteString("\nnext: " + o.next() + "\n")
	return b.String()
}

func counts(in task.Info) string {
	var parts []string
	for _, status := range task.Statuses {
		parts = append(parts, fmt.Sprintf("%s %s", Count(int64(in.Counts[status])), status))
	}
	text := strings.Join(parts, ", ")
	if in.Slots > 0 {
		text += fmt.Sprintf(" (%d of %d slots taken)", in.Active, in.Slots)
	}
	return text
}

func (s Screen) warnings(o Overview) string {
	var all []string
	if o.Info.Draining {
		all = append(all, "the queue is held back: nothing new is started")
	}
	if o.Client != "" && o.Client != o.Info.Version {
		all = append(all, fmt.Sprintf("durablectl is %s, durabled %s: durablectl restart", o.Client, o.Info.Version))
	}
	all = append(append(all, o.Info.Warnings...), o.Warnings...)
	all = slices.DeleteFunc(all, func(w string) bool { return o.heads(w) })
	text := ""
	for _, w := range all {
		text += s.Paint(Yellow, "warning:") + " " + Clean(w) + "\n"
	}
	return text
}

// heads reports whether a warning says what heads the page anyway: that a task waits for approval.
func (o Overview) heads(warning string) bool {
	return slices.ContainsFunc(o.Pending, func(t task.Task) bool {
		return t.Phase == task.PhaseAwaitingApproval && strings.HasPrefix(warning, number(t.Number)+" waits for your approval")
	})
}

// running shows two lines a task: what it is, and how far.
func (s Screen) running(tasks []task.Task) string {
	if len(tasks) == 0 {
		return ""
	}
	text := "\n" + s.Paint(Bold, "running") + "\n"
	for _, t := range tasks {
		head := fmt.Sprintf("  %d  %s  %s", t.Number, Kind(t.Kind), Clean(t.Title))
		if took := s.took(t); took != "" {
			head += "  for " + took
		}
		if t.Phase != task.PhaseRunning {
			head += "  (" + string(t.Phase) + ")"
		}
		text += s.fit(head) + "\n"
		parts := report(t.Status, t.Progress)
		if percent, ok := t.Progress.Percent(); ok {
			parts = append([]string{Bar(percent, 20) + " " + Percent(t.Progress)}, parts...)
		}
		if len(parts) > 0 {
			text += s.fit("      "+strings.Join(parts, "  ")) + "\n"
		}
	}
	return text
}

// waitingShown is how many of the tasks that wait are named; those that wait for approval head the page.
const waitingShown = 10

// waiting shows what is pending, and for what: a retry, a time, a person, a free slot.
func (s Screen) waiting(tasks []task.Task) string {
	tasks = slices.DeleteFunc(slices.Clone(tasks), func(t task.Task) bool { return t.Phase == task.PhaseAwaitingApproval })
	if len(tasks) == 0 {
		return ""
	}
	table := Table{Indent: 2, Columns: []Column{{Right: true}, {}, {Optional: true}, {Min: 8}, {}, {Min: 10, Optional: true}}}
	for _, t := range tasks[:min(waitingShown, len(tasks))] {
		table.Row(Cell{Text: number(t.Number)}, Cell{string(t.Phase), statusColors[t.Status]}, Cell{Text: Kind(t.Kind)},
			Cell{Text: t.Title}, Cell{Text: s.due(t)}, Cell{FirstLine(errorOf(t)), Red})
	}
	text := "\n" + s.Paint(Bold, "waiting") + "\n" + table.Render(s)
	if more := len(tasks) - waitingShown; more > 0 {
		text += fmt.Sprintf("  %d more: durablectl list --status pending\n", more)
	}
	return text
}

// due says when t goes on by itself, where that is known.
func (s Screen) due(t task.Task) string {
	switch {
	case t.NextAttemptAt != nil:
		return "in " + Duration(max(0, t.NextAttemptAt.Sub(s.Now)))
	case t.RunAt != nil && t.Phase == task.PhaseScheduled:
		return "at " + s.time(*t.RunAt)
	}
	return ""
}

func (s Screen) ended(tasks []task.Task) string {
	if len(tasks) == 0 {
		return ""
	}
	table := Table{Indent: 2, Columns: []Column{{Right: true}, {}, {Optional: true}, {Min: 8}, {}, {Min: 10}}}
	for _, t := range tasks {
		when := ""
		if t.CompletedAt != nil {
			when = ago(*t.CompletedAt, s.Now)
		}
		table.Row(Cell{Text: number(t.Number)}, s.stateCell(t), Cell{Text: Kind(t.Kind)}, Cell{Text: t.Title},
			Cell{Text: when}, Cell{FirstLine(errorOf(t)), Red})
	}
	return "\n" + s.Paint(Bold, "ended") + "\n" + table.Render(s)
}

// next is the command that most likely comes next: what needs a person first, then what goes on, then
// what went wrong.
func (o Overview) next() string {
	for _, phase := range []task.Phase{task.PhaseAwaitingApproval, task.PhasePaused} {
		for _, t := range slices.Concat(o.Running, o.Pending) {
			if t.Phase == phase {
				return Next(t)
			}
		}
	}
	for _, list := range [][]task.Task{o.Running, o.Pending, o.Ended} {
		if len(list) == 0 {
			continue
		}
		if t := list[0]; t.Status == task.StatusFailed || !t.Status.Terminal() {
			return Next(t)
		}
	}
	if len(o.Ended) > 0 {
		return "durablectl list"
	}
	return "durablectl start migration SOURCE DESTINATION"
}
