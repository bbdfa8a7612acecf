package render

import (
	"fmt"
	"strconv"
	"time"

	"durable/ipc/task"
)

// aliases are the kinds' names for people.
var aliases = map[string]string{
	"data_migration":   "migration",
	"batch_processing": "batch",
	"ml_training":      "training",
}

// Kind returns the name under which people know a kind: "migration" for data_migration.
func Kind(name string) string {
	if alias, ok := aliases[name]; ok {
		return alias
	}
	return name
}

// KindName returns the kind that people call name.
func KindName(name string) string {
	for kind, alias := range aliases {
		if alias == name {
			return kind
		}
	}
	return name
}

// barFrom is the least width of a screen on which a list has bars.
const barFrom = 100

// List returns a table of tasks.
func (s Screen) List(tasks []task.Task) string {
	table := Table{Titles: true, Columns: []Column{
		{Title: "TASK", Right: true}, {Title: "STATUS"}, {Title: "KIND", Optional: true}, {Title: "TITLE", Min: 12},
		{Title: "PROGRESS"}, {Title: "AGE", Right: true}, {Title: "TOOK", Right: true, Optional: true},
		{Title: "ERROR", Min: 10, Optional: true},
	}}
	for _, t := range tasks {
		table.Row(
			Cell{Text: number(t.Number)},
			s.stateCell(t),
			Cell{Text: Kind(t.Kind)},
			Cell{Text: t.Title},
			Cell{Text: s.progressCell(t)},
			Cell{Text: Age(t.CreatedAt, s.Now)},
			Cell{Text: s.took(t)},
			Cell{Text: FirstLine(errorOf(t)), Color: Red},
		)
	}
	return table.Render(s)
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }

func (s Screen) stateCell(t task.Task) Cell {
	if t.Phase == task.PhaseAwaitingApproval { // the longest word by far would narrow every table
		return Cell{string(t.Status) + "/approval", Yellow}
	}
	return Cell{State(t.Status, t.Phase, t.Outcome), statusColors[t.Status]}
}

// progressCell is a bar where there is room, else a percentage, else a count.
func (s Screen) progressCell(t task.Task) string {
	percent, known := percentOf(t.Status, t.Progress)
	switch {
	case known && t.Status == task.StatusRunning && s.Width >= barFrom:
		return fmt.Sprintf("%s %4s", Bar(percent, 10), Percent(t.Progress))
	case known:
		return Percent(t.Progress)
	case t.Progress.Done > 0 && t.Progress.Total == nil:
		return amount(t.Progress)
	}
	return ""
}

// took returns how long t ran, or has been running; "" if it never did.
func (s Screen) took(t task.Task) string {
	if d, ok := s.ran(t); ok {
		return Duration(d)
	}
	return ""
}

func (s Screen) ran(t task.Task) (time.Duration, bool) {
	switch {
	case t.StartedAt == nil:
		return 0, false
	case t.CompletedAt != nil:
		return t.CompletedAt.Sub(*t.StartedAt), true
	default:
		return s.Now.Sub(*t.StartedAt), true
	}
}

// errorOf returns the error that t ended with, or that its last attempt met while it waits for another.
func errorOf(t task.Task) string {
	switch {
	case t.Error != nil:
		return reported(t.Error)
	case t.LastError != nil && t.Status == task.StatusPending:
		return reported(t.LastError)
	case t.Status == task.StatusFailed:
		return t.Reason
	}
	return ""
}

// amount returns the counts of p: "3,400 of 100,000 records".
func amount(p task.Progress) string {
	text := Count(p.Done)
	if p.Total != nil {
		text += " of " + Count(*p.Total)
	}
	if unit := Clean(p.Unit); unit != "" {
		text += " " + unit
	}
	return text
}

// Kinds returns a table of job kinds.
func (s Screen) Kinds(kinds []task.KindInfo) string {
	table := Table{Titles: true, Columns: []Column{{Title: "KIND"}, {Title: "NAME"}, {Title: "DESCRIPTION", Min: 20}}}
	for _, k := range kinds {
		alias := k.Alias
		if alias == "" {
			alias = k.Name
		}
		about := FirstLine(k.Description)
		if about == "" {
			about = k.Title
		}
		if k.UserDefined {
			about += " (yours)"
		}
		table.Row(Cell{Text: alias, Color: Bold}, Cell{Text: k.Name}, Cell{Text: about})
	}
	return table.Render(s)
}

// Stats returns the daemon's figures.
func (s Screen) Stats(st task.Stats) string {
	table := Table{Columns: []Column{{}, {Right: true}}}
	row := func(name, value string) { table.Row(Cell{name, Faint}, Cell{Text: value}) }
	count := func(name string, n uint64) { row(name, Count(int64(n))) }
	count("tasks", uint64(st.Total))
	for _, status := range task.Statuses {
		count(string(status), uint64(st.Counts[status]))
	}
	row("slots taken", fmt.Sprintf("%d of %d", st.Active, st.Slots))
	count("queued", uint64(st.Queued))
	row("up", Duration(time.Duration(st.Uptime)))
	count("submitted since start", st.Submitted)
	count("attempts started", st.Started)
	count("attempts ended", st.Ended)
	count("commits", st.Commits)
	count("events in the journal", st.JournalLen)
	count("event streams open", uint64(st.Subscribers))
	row("store", Bytes(st.Disk.Store))
	row("task files", Bytes(st.Disk.Tasks))
	row("disk free", Bytes(st.Disk.Free))
	return table.Render(s)
}
